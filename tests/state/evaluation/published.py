"""Public data sets as logs, read without the loaders; a test that needs an absent one says so."""

import gzip
import io
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from state.evaluation.log import Log
from state.event import TYPE_CODES
from state.interner import Interner

DATA = Path(__file__).parents[3].parent / "shared" / "data"
WEEK = 7 * 86_400_000


def log_of_rows(sessions, items, times, measured) -> Log:
    """A log of views; every session is a user of its own."""
    interner = Interner()
    numbers = np.array([interner.intern(item) for item in items], np.int32)
    keys = np.array(sessions, np.int64)
    users = np.unique(keys, return_inverse=True)[1].astype(np.int32)
    kinds = np.full(keys.size, TYPE_CODES["view"], np.int8)
    rows = np.arange(keys.size, dtype=np.int32)
    return Log(
        interner.strings, numbers, keys, users, np.array(times, np.int64), kinds, rows, np.array(measured)
    )


@cache
def diginetica(last: int = 16) -> Log:
    """Diginetica's weeks 0 to `last`, the last measured; inside a week there is an order but no times."""
    folder = DATA / "diginetica_stream"
    if not folder.exists():
        pytest.skip(f"NOT CHECKED: recommendation quality on Diginetica, for want of {folder}")
    sessions, items, times, measured = [], [], [], []
    for number in range(last + 1):
        with gzip.open(folder / f"period_{number}.txt.gz", "rt") as file:
            pairs = [line.split() for line in file]
        count = len(pairs)
        sessions += [int(session) + 1 for session, _ in pairs]
        items += [item for _, item in pairs]
        times += [(number * count + i) * WEEK // count for i in range(count)]
        measured += [number == last] * count
    return log_of_rows(sessions, items, times, measured)


@cache
def serenade() -> Log:
    """The example of Serenade: training and test sessions, each of them in the order of time."""
    path = DATA / "golden" / "serenade_example.zip"
    if not path.exists():
        pytest.skip(f"NOT CHECKED: VMIS-kNN against its published figures, for want of {path}")
    rows = []
    with zipfile.ZipFile(path) as archive:
        for name in ("train.txt", "test.txt"):
            with archive.open(name) as file:
                lines = io.TextIOWrapper(file).readlines()[1:]
            part = [line.split("\t") for line in lines]
            # Ids of the two files are not of one series.
            offset = 1 if name == "train.txt" else 1 << 40
            named = [(int(s) + offset, i, round(float(t) * 1000), name == "test.txt") for s, i, t in part]
            rows += sorted(named, key=lambda row: row[2])
    return log_of_rows(*zip(*rows, strict=True))
