"""What every loader shares: the loader's type, rejected lines, and how lines become fields."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

from state.catalogue import CatalogueItem
from state.errors import FreshslateError
from state.event import Event, EventItem, EventRules
from state.parse import EARLIEST, LATEST
from stream.times import parse_iso

EXAMPLES: Final = 20
"""Rejects kept with their details; the others are only counted."""
DETAIL: Final = 120
"""Length of a reject's detail, characters."""
MAX_BASKET: Final = EventRules().max_items
"""Items of one event; a larger basket becomes several events of the same order."""
SECONDS: Final = range(100_000_000, 100_000_000_000)
"""Epoch seconds from 1973 to 5138, as `state/parse.py` allows; anything else is another unit or a fault."""
ORDER_START: Final = 946_684_800_000
"""2000-01-01, epoch milliseconds: where the made-up times of files without times begin."""
ORDER_STEP_MS: Final = 1000
"""Between two events of a file that has an order and no times."""
ORDER_NOTE: Final = (
    "no times, only an order: events get times one second apart, from 2000-01-01 on. Whatever decays by days "
    "counts events instead (86,400 a day), and a split by days means nothing: split by fraction."
)

_T = TypeVar("_T")


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
ItemLoader: TypeAlias = Callable[[Iterable[bytes], Rejects], Iterator[CatalogueItem]]
"""The same for what the lines say of the catalogue: each item once."""


class BadLine(Exception):
    """Ends the work on one line, inside a loader."""

    def __init__(self, reason: str, detail: object) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def parsed(
    lines: Iterable[bytes], rejects: Rejects, parse: Callable[[str, int], _T | None], *, first: int = 1
) -> Iterator[_T]:
    """What `parse` makes of each line's text and number; a line it refuses is a reject, None is passed over.

    Empty lines are passed over too. `first` is the number of the first line.
    """
    for number, line in enumerate(lines, first):
        try:
            text = text_of(line)
            value = parse(text, number) if text else None
        except BadLine as bad:
            rejects.add(number, bad.reason, bad.detail)
            continue
        if value is not None:
            yield value


def fields_of(text: str, names: Sequence[str], separator: str = ",") -> list[str]:
    """The fields of a line that needs no quotes, one for each of `names`.

    Raises:
        BadLine: There are more or fewer.
    """
    values = text.split(separator)
    if len(values) != len(names):
        reason = "wrong_columns"
        raise BadLine(reason, f"{len(values)} columns where {separator.join(names)} is expected")
    return values


def header_of(lines: Iterator[bytes], separator: str = ",") -> list[str]:
    """The column names in the first line; one empty name where there is no line."""
    return next(lines, b"").decode(errors="replace").strip().removeprefix("\ufeff").split(separator)


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


def moment(text: str) -> int:
    """Epoch milliseconds of ISO 8601 text, or of epoch seconds or milliseconds, which their size tells apart.

    Raises:
        BadLine: None of them.
    """
    reason = "wrong_time"
    try:
        number = float(text)
    except ValueError:
        try:
            return parse_iso(text.removesuffix(" UTC"))
        except (ValueError, OverflowError) as error:
            raise BadLine(reason, error) from None
    if SECONDS.start <= number < SECONDS.stop:
        return round(number * 1000)
    if EARLIEST <= number < LATEST:
        return int(number)
    raise BadLine(reason, f"{text!r} is neither epoch seconds nor milliseconds")


def in_order(number: int) -> int:
    """The made-up time of event `number`, from 0, of a file without times; epoch milliseconds."""
    return ORDER_START + number * ORDER_STEP_MS


def price_of(text: str) -> float | None:
    """A price above 0; None where the file says nothing, or 0.

    Raises:
        BadLine: Not a number of at least 0.
    """
    if not text:
        return None
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price <= EventRules().max_amount:
        reason = "wrong_value"
        raise BadLine(reason, f"price {text!r}")
    return price or None


def known_type(name: str, types: Mapping[str, str]) -> str:
    """Our name of an event type.

    Raises:
        BadLine: The format has no such type.
    """
    kind = types.get(name)
    if kind is None:
        reason = "unknown_type"
        raise BadLine(reason, f"type {name!r}; known are {', '.join(types)}")
    return kind


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
