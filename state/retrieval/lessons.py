"""Deltas as columns for the fold."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from state.retrieval.arrays import Ints, Longs
from state.slate import Delta


class Lessons(NamedTuple):
    """Interactions of many deltas, in order."""

    items: Ints
    """[n] dense ids."""
    sessions: Sequence[int]
    """[n] session keys, 0 for none."""
    times: Longs
    """[n] epoch milliseconds."""
    types: Longs
    """[n] type codes."""


def lessons(deltas: Iterable[Delta], known: Mapping[str, int], intern: Callable[[str], int]) -> Lessons:
    """Read deltas; dense ids are `known`, or given by `intern`.

    Raises:
        ValueError: The arrays of a delta differ in length.
    """
    items: list[int] = []
    sessions: list[int] = []
    times: list[int] = []
    types: list[int] = []
    for delta in deltas:
        if not len(delta.item) == len(delta.session) == len(delta.time) == len(delta.type):
            message = f"delta of partition {delta.partition}: item, session, time and type differ in length"
            raise ValueError(message)
        # Nearly all are known, and those need no call each.
        dense = list(map(known.get, delta.items))
        if None in dense:
            pairs = zip(delta.items, dense, strict=True)
            dense = [intern(item_id) if number is None else number for item_id, number in pairs]
        items.extend(map(cast("list[int]", dense).__getitem__, delta.item))
        sessions.extend(delta.session)
        times.extend(delta.time)
        types.extend(delta.type)
    return Lessons(as_longs(items).astype(np.int32), sessions, as_longs(times), as_longs(types))


def as_longs(numbers: Sequence[int]) -> Longs:
    """The numbers as an array; a third of what numpy takes for it, which asks each what it is."""
    return np.frombuffer(array("q", numbers), np.int64)
