"""Amazon reviews as sequences: `user item item ...` per line, oldest first.

Its catalogue is a JSON file of attributes by item, `{"item": [attribute, ...]}`. It is the form in which
sequential recommenders share these data (SASRec, S3-Rec). A user's sequence is one session of purchases.
There are no times, neither within a user nor between users: users come one after the other.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import BadLine, FormatError, Rejects, in_order, parsed

_ATTRIBUTES: Final = msgspec.json.Decoder(dict[str, list[int | str]])


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """The items of each user as purchases, in the order of the file."""
    count = 0
    for number, (user, *sequence) in parsed(lines, rejects, _sequence):
        for item in sequence:
            yield Event(
                event_id=f"amazon-{number}-{count}",
                type="purchase",
                user_id=f"amazon-{user}",
                session_id=user,
                time=in_order(count),
                items=(EventItem(item),),
            )
            count += 1


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """Each item with its attributes: numbers that stand for brands and categories, unsaid which.

    They are words of the title too, `a17 a4`, for whatever compares items by their text.

    Raises:
        FormatError: Not such a JSON object.
    """
    del rejects
    try:
        attributes = _ATTRIBUTES.decode(b"".join(lines))
    except msgspec.DecodeError as error:
        message = f'not a file of Amazon attributes, {{"item": [attribute, ...]}}: {error}'
        raise FormatError(message) from None
    for item, numbers in attributes.items():
        yield CatalogueItem(
            item_id=item,
            title=" ".join(f"a{number}" for number in numbers) or None,
            attributes={"attributes": numbers},
        )


def _sequence(text: str, number: int) -> tuple[int, list[str]]:
    sequence = text.split()
    if len(sequence) < 2:
        reason = "wrong_columns"
        raise BadLine(reason, f"{text[:20]!r} where a user and items are expected")
    return number, sequence
