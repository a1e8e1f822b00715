"""Events of a file in time order, however the file is ordered and however large it is."""

import heapq
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import attrgetter
from typing import IO, Final

from state.event import Event

RUN_EVENTS: Final = 1_000_000
"""Events sorted in memory at a time, some 500 MB; more of them go to temporary files, some 200 B each."""

_TIME: Final = attrgetter("time")


def by_time(events: Iterable[Event], *, run_events: int = RUN_EVENTS) -> Iterator[Event]:
    """The events by time; those of one time stay in their order.

    Sorted runs of `run_events` go to temporary files (`TMPDIR`) where there is more than one, and are merged
    from there.
    """
    source = iter(events)
    run = sorted(islice(source, run_events), key=_TIME)
    with ExitStack() as files:
        runs: list[Iterator[Event]] = []
        while following := sorted(islice(source, run_events), key=_TIME):
            file = files.enter_context(tempfile.TemporaryFile(prefix="freshslate-sort-"))
            runs.append(_written(run, file))
            run = following
        yield from heapq.merge(*runs, run, key=_TIME)


def _written(run: list[Event], file: IO[bytes]) -> Iterator[Event]:
    """Write a run, and read it back one by one."""
    for event in run:
        pickle.dump(event, file, pickle.HIGHEST_PROTOCOL)
    file.seek(0)
    return _read(file)


def _read(file: IO[bytes]) -> Iterator[Event]:
    while True:
        try:
            event: Event = pickle.load(file)
        except EOFError:
            return
        yield event
