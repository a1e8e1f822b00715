"""Dead letters: records that break the wire contract, kept as they came, and the limit on their share."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from state.errors import InvalidEvent, TooManyDeadLetters
from state.event import Origin
from stream.times import format_iso

Headers = Sequence[tuple[str, bytes]]

MAX_EXCEPTION: Final = 500
"""Length of the header `dlq.exception`, characters."""
REDRIVEN: Final = "freshslate.redriven"
"""Last header of a record that was sent again from a dead letter (`stream/redrive.py`): a `Redriven`."""
FIRST_ADDED: Final = "dlq.reason"
"""The first header that a dead letter adds to those of its record."""
LAST_ADDED: Final = "dlq.app_version"
"""The last one."""


class Redriven(Struct, frozen=True, kw_only=True):
    """What a record that was sent again says of its first failure."""

    attempt: int
    """How many times it has failed, from 1."""
    reason: str
    """Of the first failure, as the next four."""
    topic: str
    partition: int
    offset: int
    failed_at: str
    """Kafka timestamp of the record that failed first, ISO 8601."""


_REDRIVEN: Final = msgspec.json.Decoder(Redriven)


def redriven_of(headers: Headers) -> Redriven | None:
    """What a record's headers say of an earlier failure; None where they say nothing that can be read.

    Only the last header counts: what a producer wrote under that name is not ours.
    """
    if not headers or headers[-1][0] != REDRIVEN:
        return None
    try:
        return _REDRIVEN.decode(headers[-1][1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def dead_letter(  # noqa: PLR0913 - a record and its failure have that many parts, and most are named
    record_key: bytes | None,
    record_value: bytes | None,
    record_headers: Headers,
    origin: Origin,
    error: InvalidEvent,
    *,
    failed_at_ms: int,
    app_version: str,
) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers of a record's dead letter (`docs/events.md`, section dead letters).

    Everything the record had stays untouched, byte for byte; what is known of the failure goes into
    further headers. Where a header comes twice, as in a dead letter of a dead letter, the last one counts.
    A record that was sent again names its first failure, and how often it has failed.

    Args:
        record_key: As received.
        record_value: As received.
        record_headers: As received.
        origin: Where the record stood.
        error: Why it is invalid.
        failed_at_ms: Epoch milliseconds. Pass the record's own timestamp where a retry must write
            identical bytes.
        app_version: Version of the software that refused it.
    """
    exception = f"{type(error).__name__}: {error.detail}"[:MAX_EXCEPTION]
    first = redriven_of(record_headers)
    said = {
        "dlq.reason": error.reason,
        "dlq.exception": exception,
        "dlq.source.topic": origin.topic,
        "dlq.source.partition": str(origin.partition),
        "dlq.source.offset": str(origin.offset),
        "dlq.first_failed_at": format_iso(failed_at_ms) if first is None else first.failed_at,
        "dlq.attempt": "1" if first is None else str(first.attempt + 1),
    }
    if first is not None:
        said |= {
            "dlq.first.reason": first.reason,
            "dlq.first.topic": first.topic,
            "dlq.first.partition": str(first.partition),
            "dlq.first.offset": str(first.offset),
        }
    said["dlq.app_version"] = app_version
    added = [(name, text.encode(errors="replace")) for name, text in said.items()]
    return record_key, record_value, (*record_headers, *added)


class DeadLetterPolicy(Struct, frozen=True, kw_only=True):
    """How many dead letters are too many.

    Raises:
        ValueError: A number out of range.
    """

    window: int = 1000
    """Latest records of a partition that count."""
    share: float = 0.5
    """The worker stops when more than this share of them is invalid, (0, 1]; 1 is never."""
    minimum: int = 50
    """Records needed before anything is judged; the window if that is smaller."""

    def __post_init__(self) -> None:
        if self.window < 1 or self.minimum < 1 or not 0 < self.share <= 1:
            message = f"window and minimum must be at least 1 and share in (0, 1]: {self}"
            raise ValueError(message)


class DeadLetterLimit:
    """The latest records of one input partition, and whether too many of them are invalid.

    In memory only: a new owner of the partition starts afresh. Drop it with the assignment, since
    records of a refused cycle are read again.

    Args:
        policy: The limit.
        topic: Input topic, for the error.
        partition: Its partition, for the error.
    """

    def __init__(self, policy: DeadLetterPolicy, topic: str, partition: int) -> None:
        self._policy = policy
        self._topic = topic
        self._partition = partition
        self._flags = b""

    @property
    def window(self) -> bytes:
        """One byte per record of the window, oldest first: 1 for an invalid record."""
        return self._flags

    def record(self, flags: bytes, *, last: InvalidEvent | None = None) -> None:
        """Count a run of records; call it before their transaction is committed.

        Args:
            flags: One byte per record in offset order: 1 for an invalid record, 0 for an event.
            last: Error of the latest invalid record, for the message.

        Raises:
            TooManyDeadLetters: The limit is exceeded at the end of this run.
        """
        self._flags = (self._flags + flags)[-self._policy.window :]
        bad, records = self._flags.count(1), len(self._flags)
        enough = records >= min(self._policy.minimum, self._policy.window)
        if enough and bad > self._policy.share * records:
            raise TooManyDeadLetters(self._topic, self._partition, bad, records, last=last)
