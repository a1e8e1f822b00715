"""Every error of Freshslate, named by what to do about it.

    FreshslateError
    ├── InvalidRecord          leave this record out; it will not get better by trying again
    │   ├── InvalidEvent       write it to the dead letter topic and go on with the next event
    │   └── InvalidItem        count it and keep what is known of the item
    ├── InvalidRequest         answer with the error of the protocol that was spoken
    ├── InvalidFile            go on with what is in force until the changed file is right
    │   ├── InvalidRules       business rules
    │   └── InvalidPlan        policies and their shares of users
    ├── InvalidProposals       leave out what this plugged-in candidate source says this time, and count it
    ├── Refused                this assignment is over: abort, drop what is in hand, wait for the next
    │   └── DamagedCopy        a partition's local copy is broken: the next assignment rebuilds it
    └── StopWorker             stop this worker loudly; an operator has to look
        ├── SetupError         settings, topics or broker do not fit; nothing was processed
        ├── DiskFault          the local disk is full or broken
        ├── TooManyDeadLetters so much input is invalid that the fault is probably ours
        └── UnreadableState    a record that Freshslate itself wrote cannot be read by this version

Errors carry their data as attributes: a handler never reads a message.
"""

from collections.abc import Iterable
from typing import Final

REASONS: Final = (
    "null_value",
    "too_large",
    "not_json",
    "wrong_type",
    "passed_over",
    "not_one_event",
    "unsupported_schema",
    "missing_type",
    "unknown_type",
    "missing_user",
    "missing_item",
    "too_many_items",
    "wrong_id",
    "wrong_time",
    "time_in_future",
    "time_too_old",
    "wrong_value",
)
"""Every reason of an `InvalidRecord`, in the order they are checked; `docs/events.md` explains each.

A closed list, because reasons are metric labels and what an operator filters dead letters by.
"""


class FreshslateError(Exception):
    """Base of all errors raised on purpose."""


class InvalidRecord(FreshslateError):
    """A record that breaks the wire contract.

    Args:
        reason: One of `REASONS`.
        detail: What is wrong with which field, for a person; holds at most a short piece of the value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class InvalidEvent(InvalidRecord):
    """An event that goes to the dead letter topic."""


class InvalidItem(InvalidRecord):
    """A catalogue record that is left out."""


class InvalidRequest(FreshslateError):
    """A request of another vendor's protocol that cannot be answered.

    Args:
        field: The field that is wrong, by its name there.
        detail: What is wrong with it, for a person.
    """

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(field, detail)
        self.field = field
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.field} {self.detail}"


class InvalidFile(FreshslateError):
    """A file, watched for changes, that cannot be followed.

    Args:
        problems: One line each, beginning with the line or the key.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class InvalidRules(InvalidFile):
    """Business rules that cannot be followed."""


class InvalidPlan(InvalidFile):
    """Policies and shares that cannot be followed.

    Args:
        problems: The place, keys and indices from the outermost table in, and what is wrong there.
    """

    def __init__(self, problems: Iterable[tuple[tuple[str | int, ...], str]]) -> None:
        self.placed = tuple(problems)
        super().__init__(f"{named(place)}: {reason}" if place else reason for place, reason in self.placed)


def named(place: tuple[str | int, ...]) -> str:
    """A place in a file of tables for people; arms of a list count from 1.

    Examples:
        >>> named(("scenario", "video", "arm", 0, "epsilon"))
        'scenario.video.arm 1.epsilon'
    """
    text = ""
    for part in place:
        text += f" {part + 1}" if isinstance(part, int) else f".{part}" if text else part
    return text


class InvalidProposals(FreshslateError):
    """An answer of a candidate source that breaks `state.retrieval.plugged.CandidateSource`."""


class Refused(FreshslateError):
    """The group has given our partitions to somebody else: a stale generation or a fenced producer."""


class DamagedCopy(Refused):
    """The local copy of a partition cannot be read; it is thrown away, and the changelog has all of it.

    Args:
        path: Folder of the copy.
        detail: What is wrong with it.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"the local copy {self.path} is damaged ({self.detail}); it is thrown away and rebuilt from the "
            "changelog"
        )


class StopWorker(FreshslateError):
    """The worker must not go on; the message says what to check."""


class SetupError(StopWorker):
    """Settings, topics or the broker do not fit; found before anything was processed."""


class DiskFault(StopWorker):
    """The local disk takes no more, or does not work.

    Args:
        path: Folder of the partition's state.
        detail: What the disk answered.
    """

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"the disk does not keep the state in {self.path}: {self.detail}. Make room there, or set "
            "FRESHSLATE_DATA_DIR to a folder with room, and start the worker again: what was committed is in "
            "the changelog, and nothing else was."
        )


class TooManyDeadLetters(StopWorker):
    """More of a partition's latest records are invalid than the limit allows.

    Args:
        topic: Input topic.
        partition: Its partition.
        bad: Invalid records among the latest `records`.
        records: How many of the latest records were looked at.
        last: The latest invalid record's error, where known.
    """

    def __init__(
        self, topic: str, partition: int, bad: int, records: int, last: InvalidEvent | None = None
    ) -> None:
        super().__init__(topic, partition, bad, records, last)
        self.topic = topic
        self.partition = partition
        self.bad = bad
        self.records = records
        self.last = last

    def __str__(self) -> str:
        latest = f" The latest is {self.last}." if self.last is not None else ""
        return (
            f"{self.bad} of the latest {self.records} records of {self.topic}[{self.partition}] are invalid, "
            f"so the worker stops instead of dead-lettering the stream.{latest} Check whether the topic "
            "carries the events that docs/events.md describes and whether a producer changed its format. "
            "Nothing of this cycle was committed: a restart continues at the same records."
        )


class UnreadableState(StopWorker):
    """A profile, marker, slate, reward or delta that this version cannot read.

    Args:
        what: Kind of record, such as `profile`.
        detail: Why it cannot be read.
    """

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"cannot read a stored {self.what}: {self.detail}. If a newer Freshslate wrote it, run that; "
            "otherwise something else writes to Freshslate's own topics."
        )
