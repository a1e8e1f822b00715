"""The sessions that are going on, by slot: arrays that are used again, and grow with the busiest moment.

Slot 0 is never a session's: it is where a shopper without one is put in order to be asked.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import Ints, Longs, resized
from state.simulation.catalogue import TASTE
from state.simulation.records import Record, Records, new_records, resized_records

SEEN: Final = 32
"""Items of a session that its shopper remembers."""
CART: Final = 8
"""Most different items in a cart."""
FIRST_SLOTS: Final = 256

# What a session does when it is due.
FREE: Final = 0
ENTERING: Final = 1
BROWSING: Final = 2
"""Leaves, or views an item."""
WAITING: Final = 3
"""For a slate; when due, goes on without."""
SHOWN: Final = 4
"""Sees the slate."""
CLICKING: Final = 5
CARTING: Final = 6
PAYING: Final = 7
LEAVING: Final = 8
"""Pays, then leaves."""


class Sessions(NamedTuple):
    """Sessions by slot, and which are free."""

    rows: Records
    """[slots] as `session_type` says."""
    due: Longs
    """[slots] epoch ms of the next act."""
    heap: Ints
    """[slots] agenda: see `state.simulation.agenda`."""
    place: Ints
    free: Ints
    """[slots] stack of free slots."""


def session_type(longest_slate: int) -> np.dtype[Any]:
    """A session's numbers."""
    return np.dtype(
        [
            ("stream", np.uint64, (1,)),  # random numbers of the session
            ("time", np.int64),  # epoch ms of the latest act
            ("wait", np.int64),  # milliseconds from then to the next
            ("taste", np.float32, (TASTE,)),  # of length 1: what the shopper likes for long
            ("intent", np.float32, (TASTE,)),  # of length 1: what the shopper is after now
            ("slate", np.int32, (longest_slate,)),  # shown last; -1 where there is no item
            ("slate_size", np.int32),
            ("slate_number", np.int64),
            ("origin", np.int64),  # number of the slate that `next_item` or `current` is from, or 0
            ("position", np.int32),  # 1-based place on it, or 0
            ("next_item", np.int32),  # about to be viewed or clicked, -1 for none yet
            ("current", np.int32),  # item looked at, -1 at first
            ("category", np.int32),  # browsed
            ("shopper", np.int32),
            ("number", np.int32),  # of the shopper's session, 1-based
            ("steps", np.int32),  # views and clicks so far
            ("events", np.int32),  # so far
            ("leave", np.float32),  # probability to leave at a step without a click
            ("seen_count", np.int32),  # items ever written to `seen`
            ("seen", np.int32, (SEEN,)),  # ring of distinct items
            ("carted", np.int32),  # items in the cart
            ("cart", np.int32, (CART,)),
            ("cart_position", np.int32, (CART,)),  # as `position`, when it was put in
            ("cart_slate", np.int64, (CART,)),  # as `origin`
            ("state", np.int8),  # `FREE`, `ENTERING`, ...
            ("buys", np.int8),  # 1 where the cart will be paid for
        ],
        align=True,
    )


def new_sessions(longest_slate: int) -> Sessions:
    """No slots yet; `grown` makes them."""
    return Sessions(
        rows=new_records(0, session_type(longest_slate)),
        due=np.zeros(0, np.int64),
        heap=np.zeros(0, np.int32),
        place=np.zeros(0, np.int32),
        free=np.zeros(0, np.int32),
    )


def grown(sessions: Sessions, free: int) -> tuple[Sessions, int]:
    """Twice the slots, and how many entries of `Sessions.free` are in use: `free` says how many were."""
    before = sessions.due.size
    slots = max(FIRST_SLOTS, 2 * before)
    larger = Sessions(
        resized_records(sessions.rows, slots), *(resized(array, slots) for array in sessions[1:])
    )
    new = np.arange(slots - 1, max(before, 1) - 1, -1, dtype=np.int32)
    larger.free[free : free + new.size] = new
    return larger, free + new.size


@kernel
def has_seen(session: Record, item: int) -> bool:
    """Whether the item is among the session's latest `SEEN`."""
    seen = session.seen
    place = min(session.seen_count, SEEN) - 1
    while place >= 0 and seen[place] != item:
        place -= 1
    return bool(place >= 0)


@kernel
def in_cart(session: Record, item: int) -> bool:
    """Whether the item lies in the session's cart."""
    cart = session.cart
    place = session.carted - 1
    while place >= 0 and cart[place] != item:
        place -= 1
    return bool(place >= 0)


@kernel
def remember(session: Record, item: int) -> None:
    """The session looks at the item."""
    if not has_seen(session, item):
        session.seen[session.seen_count % SEEN] = item
        session.seen_count += 1
    session.current = item
    session.steps += 1


@kernel
def clear(session: Record, shopper: int) -> None:
    """Make it the session of a shopper who has just come."""
    session.shopper = shopper
    session.steps = 0
    session.events = 0
    session.current = -1
    session.next_item = -1
    session.position = 0
    session.origin = 0
    session.slate_size = 0
    session.seen_count = 0
    session.carted = 0


@kernel
def kumaraswamy(u: float, a: float, b: float) -> float:
    """Quantile u of the Kumaraswamy(a, b) distribution on [0, 1] (Jones, Statistical Methodology 6, 2009)."""
    return float((1.0 - (1.0 - u) ** (1.0 / b)) ** (1.0 / a))
