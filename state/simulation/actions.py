"""What shoppers did, as arrays: rows that sessions write and `state.simulation.wire` turns into events."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.event import TYPE_CODES
from state.retrieval.arrays import Bytes, Floats, Ints, Longs

IMPRESSION: Final = TYPE_CODES["impression"]
VIEW: Final = TYPE_CODES["view"]
CLICK: Final = TYPE_CODES["click"]
ADD_TO_CART: Final = TYPE_CODES["add_to_cart"]
PURCHASE: Final = TYPE_CODES["purchase"]


class Actions(NamedTuple):
    """What shoppers did [n], in time order.

    A purchase of several items has as many rows, one after the other, numbered by `line`.
    """

    time: Longs
    """Epoch ms."""
    shopper: Ints
    """Index of the shopper."""
    session: Ints
    """Number of that shopper's session, 1-based."""
    number: Ints
    """Number of the event within the session, 1-based."""
    type: Bytes
    """Index into `state.event.EVENT_TYPES`."""
    item: Ints
    """Item index; -1 for an impression."""
    position: Ints
    """1-based place on the slate that was acted on; 0 where it was none."""
    slate: Longs
    """Number of the slate that was shown or acted on; 0 where it was none, below 0 for the shop's own."""
    quantity: Ints
    """Pieces: 1.. for purchases, else 1."""
    price: Floats
    """Of one piece, at that time; 0 for an impression."""
    line: Ints
    """0 for the first row of an event, 1.. for further items of a purchase."""


ROW: Final = np.dtype(
    [
        ("time", np.int64),
        ("slate", np.int64),
        ("shopper", np.int32),
        ("session", np.int32),
        ("number", np.int32),
        ("item", np.int32),
        ("position", np.int32),
        ("quantity", np.int32),
        ("price", np.float32),
        ("line", np.int32),
        ("type", np.int8),
    ],
    align=True,
)
"""A row as the kernels write it; fields as in `Actions`."""


def columns(rows: NDArray[Any]) -> Actions:
    """Copy rows [n] of `ROW` into arrays of their own."""
    # Not ascontiguousarray: the columns of a single row are contiguous, and it would hand out the very rows.
    return Actions(*(rows[name].copy() for name in Actions._fields))


def event_count(actions: Actions) -> int:
    """How many events these rows are."""
    return int(np.count_nonzero(actions.line == 0))


def joined(parts: list[Actions]) -> Actions:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    return Actions(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
