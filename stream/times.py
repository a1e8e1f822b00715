"""Epoch milliseconds: of now, and from and to ISO 8601 text."""

import time as clock
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MILLISECOND
LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MILLISECOND


def now_ms() -> int:
    """This machine's time."""
    return clock.time_ns() // 1_000_000


def parse_iso(text: str) -> int:
    """Epoch milliseconds of an ISO 8601 date or time; without a zone it is UTC.

    Finer fractions than milliseconds are cut off.

    Raises:
        ValueError: Not ISO 8601, or a day that does not exist.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MILLISECOND


def format_iso(time: int) -> str:
    """ISO 8601 in UTC with milliseconds, such as `2025-11-22T17:03:21.512Z`.

    Args:
        time: Epoch milliseconds; beyond the years 1 to 9999 the nearest of them is written, because a
            Kafka timestamp may be any number.
    """
    moment = EPOCH + min(max(time, FIRST), LAST) * MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
