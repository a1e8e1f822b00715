"""A log of interactions as columns: what a protocol learns from and asks about.

Sessions are those of the session fold (`state.session`): the shop's own `session_id` where there is one,
else inactivity.
"""

from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.event import Event
from state.interner import Interner
from state.profile import NEW_PROFILE, Profile
from state.retrieval.arrays import Bytes, Ints, Longs
from state.session import SessionRules, fold_event
from state.slate import Delta

Bools = NDArray[np.bool_]

DELTA_ROWS: Final = 65_536
"""Interactions of one delta at most."""


class Log(NamedTuple):
    """Interactions in the order they are learned. A row is one item of one positive event."""

    names: list[str]
    """Item id by number."""
    item: Ints
    """[rows] number of the item."""
    session: Longs
    """[rows] key of the session, as in a delta; 0 where a late event belongs to no current one."""
    user: Ints
    """[rows] number of the user."""
    time: Longs
    """[rows] epoch milliseconds."""
    type: Bytes
    """[rows] type code."""
    event: Ints
    """[rows] number of the event: a basket is several rows of one event."""
    measured: Bools
    """[rows] whether the row belongs to the test period."""

    @property
    def rows(self) -> int:
        """How many interactions there are."""
        return len(self.item)

    def taken(self, rows: NDArray[np.integer] | Bools) -> "Log":
        """The log of these rows, in this order."""
        return Log(
            self.names,
            self.item[rows],
            self.session[rows],
            self.user[rows],
            self.time[rows],
            self.type[rows],
            self.event[rows],
            self.measured[rows],
        )

    def deltas(self, start: int, end: int) -> Iterator[Delta]:
        """Rows from `start` until `end` as a worker would publish them."""
        for first in range(start, end, DELTA_ROWS):
            part = slice(first, min(end, first + DELTA_ROWS))
            index: dict[int, int] = {}
            item = tuple([index.setdefault(number, len(index)) for number in self.item[part].tolist()])
            yield Delta(
                partition=0,
                spans=(),
                events=len(item),
                duplicates=0,
                dead_letters=0,
                slates=0,
                items=tuple([self.names[number] for number in index]),
                item=item,
                session=tuple(self.session[part].tolist()),
                time=tuple(self.time[part].tolist()),
                type=tuple(self.type[part].tolist()),
            )


class LogBuilder:
    """Folds events into a log.

    Args:
        rules: What ends a session.
    """

    def __init__(self, rules: SessionRules) -> None:
        self._rules = rules
        self._profiles: dict[str, Profile] = {}
        self._items = Interner()
        self._users = Interner()
        self._columns = tuple(array(code) for code in "iqiqbib")
        self._events = 0

    @property
    def rows(self) -> int:
        """Rows so far."""
        return len(self._columns[0])

    @property
    def items(self) -> Interner:
        """Item numbers so far."""
        return self._items

    def profile(self, key: str) -> Profile:
        """The profile of that user after the events so far."""
        return self._profiles.get(key, NEW_PROFILE)

    def add(self, event: Event, *, measured: bool) -> None:
        """Fold one event; a duplicate adds nothing."""
        folded = fold_event(self.profile(event.key), event, self._rules)
        self._profiles[event.key] = folded.profile
        if not folded.learned:
            return
        item, session, user, time, kind, number, flag = self._columns
        shopper = self._users.intern(event.key)
        for lesson in folded.learned:
            item.append(self._items.intern(lesson.item_id))
            session.append(lesson.session_key)
            user.append(shopper)
            time.append(lesson.time)
            kind.append(lesson.type_code)
            number.append(self._events)
            flag.append(measured)
        self._events += 1

    def log(self) -> Log:
        """The log, rows in the order of the events."""
        item, session, user, time, kind, number, flag = (np.array(column) for column in self._columns)
        return Log(self._items.strings, item, session, user, time, kind, number, flag.astype(np.bool_))
