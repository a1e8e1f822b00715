"""What every loader shares: the loader's type, rejected lines, and how lines become fields."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from state.errors import FreshslateError
from state.event import Event, EventItem, EventRules

EXAMPLES: Final = 20
"""Rejects kept with their details; the others are only counted."""
DETAIL: Final = 120
"""Length of a reject's detail, characters."""
MAX_BASKET: Final = EventRules().max_items
"""Items of one event; a larger basket becomes several events of the same order."""
SECONDS: Final = range(100_000_000, 100_000_000_000)
"""Epoch seconds from 1973 to 5138, as `state/parse.py` allows; anything else is another unit or a fault."""


class FormatError(FreshslateError):
    """The file as a whole is not what its format says; the message names what was expected."""


class Reject(NamedTuple):
    """One line that gave no event."""

    line: int
    """1-based."""
    reason: str
    detail: str


class Rejects:
    """Lines of one file that gave no event: all counted by reason, the first ones kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: list[Reject] = []

    def add(self, line: int, reason: str, detail: object) -> None:
        """Count one line; `detail` is cut to a length that can be printed."""
        self.counts[reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(Reject(line, reason, str(detail)[:DETAIL]))

    def clear(self) -> None:
        """Forget everything, for another pass over the file."""
        self.counts.clear()
        self.examples.clear()


Loader: TypeAlias = Callable[[Iterable[bytes], Rejects], Iterator[Event]]
"""Turns a file's lines into events, in the order in which they should be sent; what cannot be turned
goes to the rejects and does not stop the file. Raises `FormatError`."""


class BadLine(Exception):
    """Ends the work on one line, inside a loader."""

    def __init__(self, reason: str, detail: object) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def text_of(line: bytes) -> str:
    """A line as text, without its end and a byte order mark.

    Raises:
        BadLine: Not UTF-8.
    """
    try:
        return line.decode().rstrip("\r\n").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        reason = "not_utf8"
        raise BadLine(reason, error) from None


def milliseconds(seconds: str) -> int:
    """Epoch milliseconds of epoch seconds as text.

    Raises:
        BadLine: Not a number of seconds after 1973.
    """
    reason = "wrong_time"
    try:
        whole = int(seconds)
    except ValueError:
        raise BadLine(reason, f"{seconds!r} is not epoch seconds") from None
    if whole not in SECONDS:
        raise BadLine(reason, f"{seconds!r} is not epoch seconds")
    return whole * 1000


def required(value: str, field: str) -> str:
    """An id that must be there.

    Raises:
        BadLine: It is empty.
    """
    if not value:
        reason = "missing_user" if field.startswith("user") else "missing_item"
        raise BadLine(reason, f"{field} is empty")
    return value


def baskets(items: Sequence[EventItem]) -> Iterator[tuple[int, tuple[EventItem, ...]]]:
    """Cut a large order into parts that an event may hold, numbered from 0."""
    for number, start in enumerate(range(0, len(items), MAX_BASKET)):
        yield number, tuple(items[start : start + MAX_BASKET])


def part_id(event_id: str, number: int) -> str:
    """Event id of a part of a large order; the first part keeps the order's."""
    return f"{event_id}.{number}" if number else event_id
