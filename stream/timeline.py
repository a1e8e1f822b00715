"""One user's timeline, folded from the log: each event, and what it changed.

Deltas say which input records a cycle took, so the order is the worker's own, with several input topics too;
published slates stand in for the recommender, as in the audit. Nothing here waits: `stream/follow.py` reads.
"""

import heapq
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec
from msgspec import Struct, to_builtins

from state.attribution import answer, open_slate
from state.difference import SlateChange, StateChange, move, slate_change, state_change
from state.errors import InvalidEvent
from state.event import DEFAULT_TENANT, FORGET, Event, EventRules, Inbound, Origin, state_key
from state.parse import event_fields
from state.profile import Profile
from state.retrieval.explain import Explanation
from state.session import fold_event
from state.slate import Delta, Reward, Slate, Span
from state.step import StepRules
from state.waiting import waiting_in, with_waiting
from stream.codecs import decode_delta, decode_event, decode_slate
from stream.inspection import Inspection, InspectionError
from stream.inspection import as_json as inspection_json
from stream.work import Record

MOST_AHEAD: Final = 20_000
"""Records of one input topic that may wait for the worker's word on them."""
VALUE_SHOWN: Final = 200
"""Bytes shown of a dead letter."""
WHOLE_NUMBER: Final = re.compile(r"-?\d+")


class Started(Struct, frozen=True, kw_only=True):
    """What was known before the first step."""

    inspection: Inspection
    offsets: Mapping[str, int]
    """By input topic, the first offset that the steps to come can be about."""


class Shown(Struct, frozen=True, kw_only=True):
    """The slate that answered an event."""

    slate: Slate
    change: SlateChange
    """Against the user's slate before."""
    why: tuple[Explanation, ...]
    """One per item, as the models are when the step is made; empty where nobody explains."""
    took_ms: int
    """Kafka timestamp of the slate's record minus the event's; the commit, milliseconds later, has none."""


class Happened(Struct, frozen=True, kw_only=True):
    """An event and what it changed."""

    event: Event
    origin: Origin
    state: StateChange
    rewards: tuple[Reward, ...]
    """Proved by this event."""
    shown: Shown | None
    is_unanswered: bool = False
    """The type asks for a slate here, and the worker that took the event published none."""


class Repeated(Struct, frozen=True, kw_only=True):
    """An event that came before: it changes nothing."""

    event: Event
    origin: Origin


class Rejected(Struct, frozen=True, kw_only=True):
    """A record that became a dead letter."""

    origin: Origin
    reason: str
    detail: str
    value: str
    """Its beginning, as text."""


class Waiting(Struct, frozen=True, kw_only=True):
    """The next step cannot be made yet."""

    awaits: Literal["worker", "slate"]
    """`worker`: no cycle has taken the record; `slate`: one has, and its slate is not here yet."""
    origin: Origin
    """The record that would be next."""
    records: int
    """Records of the user that wait, this one included."""


Step: TypeAlias = Started | Happened | Repeated | Rejected | Waiting
_Entry: TypeAlias = Inbound | Rejected


class Explain(Protocol):
    """Says why the items of a slate are candidates."""

    def __call__(self, profile: Profile, slate: Slate) -> tuple[Explanation, ...]:
        """One explanation per item; `profile` is the one that the slate was decided for."""
        ...


class Start(NamedTuple):
    """Where a timeline begins."""

    profile: Profile
    applied: Mapping[str, int]
    """By input topic, the last offset that `profile` contains."""
    offsets: Mapping[str, int]
    """By followed topic, the first offset that will be fed."""
    slate: Slate | None
    """The latest one before."""


class Rules(NamedTuple):
    """What steps are made by; the workers' own rules, or the steps are not what they did."""

    events: EventRules
    step: StepRules
    explain: Explain


class _Read(NamedTuple):
    offset: int
    timestamp: int
    entry: _Entry | None
    """None for a record of somebody else."""


class Timeline:
    """Takes records as they come from several topics, and makes steps of them in the worker's order.

    Args:
        user_id: Of the events.
        tenant: Of the events.
        start: Where to begin.
        rules: The workers' own.
    """

    def __init__(self, user_id: str, tenant: str, start: Start, rules: Rules) -> None:
        self._key = state_key(tenant, user_id)
        self._user = (user_id, tenant)
        self._rules = rules
        self.profile = start.profile
        """With every step so far."""
        self._slate = start.slate
        self._begun = start.applied
        self._applied = dict(start.applied)
        self._read: dict[str, deque[_Read]] = {topic: deque() for topic in start.offsets}
        self._reached = {topic: offset - 1 for topic, offset in start.offsets.items()}
        self._deltas: deque[Delta] = deque()
        self._ready: deque[_Entry] = deque()
        self._ahead: dict[Origin, _Entry] = {}
        self._slates: dict[str, tuple[Slate, int]] = {}
        self._given_up: Origin | None = None

    # What the log holds ---------------------------------------------------------------------------

    def feed(self, record: Record) -> None:
        """Take an input record; in offset order within a topic."""
        entry = self._entry(record)
        self._read[record.topic].append(_Read(record.offset, record.timestamp, entry))
        self._reached[record.topic] = record.offset
        if entry is not None:
            self._ahead[entry.origin] = entry

    def publish(self, record: Record) -> None:
        """Take a record of the slates; those of others are passed over."""
        if record.key != self._key.encode() or record.value is None:
            return
        slate = decode_slate(record.value)
        trigger = slate.trigger
        if trigger.offset > self._begun.get(trigger.topic, -1):
            self._slates[slate.slate_id] = slate, record.timestamp
        elif self._slate is None or slate.time > self._slate.time:
            self._slate = slate

    def cycle(self, record: Record) -> None:
        """Take a record of the deltas: what a cycle took."""
        self._deltas.append(decode_delta(record.value or b""))

    def is_full(self, topic: str) -> bool:
        """Whether reading on in this topic should wait for the worker."""
        spans = self._deltas[0].spans if self._deltas else ()
        needed = max((span.last_offset for span in spans if span.topic == topic), default=-1)
        return len(self._read[topic]) >= MOST_AHEAD and self._reached[topic] >= needed

    # What it means --------------------------------------------------------------------------------

    def steps(self) -> Iterator[Step]:
        """Every step that can be made now.

        Raises:
            InspectionError: The workers read a topic that is not followed.
        """
        while True:
            while self._ready:
                step = self._step(self._ready[0])
                if step is None:
                    return
                self._ready.popleft()
                yield step
            if not self._take():
                return

    @property
    def waiting(self) -> Waiting | None:
        """What the next step waits for; None where no record of the user is left."""
        count = len(self._ready) + len(self._ahead)
        if self._ready:
            return Waiting(awaits="slate", origin=self._ready[0].origin, records=count)
        if self._ahead:
            return Waiting(awaits="worker", origin=next(iter(self._ahead)), records=count)
        return None

    def go_on_without_slate(self) -> None:
        """Stop waiting for the slate of the event that is next."""
        if self._ready:
            self._given_up = self._ready[0].origin

    def _entry(self, record: Record) -> _Entry | None:
        """The record, if it is this user's."""
        if not self._may_be_ours(record):
            return None
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        try:
            event = decode_event(record.value, origin, self._rules.events, record.headers)
        except InvalidEvent as error:
            if not self._is_claimed(record):
                return None
            value = (record.value or b"")[:VALUE_SHOWN].decode(errors="replace")
            return Rejected(origin=origin, reason=error.reason, detail=error.detail, value=value)
        return Inbound(event, origin) if event.key == self._key else None

    def _may_be_ours(self, record: Record) -> bool:
        """Spares decoding: JSON holds an id as it is, but for escapes and numbers such as 1e3.

        Other vendors' formats may have it in base 64.
        """
        user_id, _ = self._user
        value = record.value or b""
        return (
            record.topic in self._rules.events.formats
            or record.key == self._key.encode()
            or user_id.encode() in value
            or b"\\" in value
            or WHOLE_NUMBER.fullmatch(user_id) is not None
        )

    def _is_claimed(self, record: Record) -> bool:
        """Whether an invalid record says that it is this user's, by its key or its fields."""
        if record.key == self._key.encode():
            return True
        try:
            fields = msgspec.json.decode(record.value or b"", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        named = fields.get("user_id") or fields.get("anonymous_id")
        return (str(named), fields.get("tenant") or DEFAULT_TENANT) == self._user

    def _take(self) -> bool:
        """Move what the next cycle took to `_ready`, in the order in which it was folded."""
        while self._deltas:
            spans = [s for s in self._deltas[0].spans if s.last_offset > self._applied.get(s.topic, -1)]
            for span in spans:
                self._check_followed(span)
                if self._reached[span.topic] < span.last_offset:
                    return False
            self._deltas.popleft()
            if spans:
                runs = [self._run(span) for span in spans]
                self._ready.extend(read.entry for read in _merged(runs) if read.entry is not None)
                for entry in self._ready:
                    self._ahead.pop(entry.origin, None)
                return True
        return False

    def _check_followed(self, span: Span) -> None:
        if span.topic not in self._read:
            message = (
                f"the workers read {span.topic} too, which FRESHSLATE_INPUTS does not name here: set it as "
                "the workers have it"
            )
            raise InspectionError(message)

    def _run(self, span: Span) -> list[_Read]:
        queue, applied, run = self._read[span.topic], self._applied.get(span.topic, -1), []
        while queue and queue[0].offset <= span.last_offset:
            read = queue.popleft()
            if read.offset > applied:
                run.append(read)
        self._applied[span.topic] = span.last_offset
        return run

    def _step(self, entry: _Entry) -> Step | None:
        """Fold one record; None where its slate is not here yet."""
        if isinstance(entry, Rejected):
            return entry
        (event, origin), rules = entry, self._rules.step
        before = self.profile
        folded = fold_event(before, event, rules.session)
        if folded.duplicate:
            return Repeated(event=event, origin=origin)
        answered = answer(waiting_in(before), event, rules.reward, rules.exposing)
        shown, profile = None, with_waiting(folded.profile, answered.waiting)
        asks = event.type in rules.slate_types
        if asks:
            found = self._slates.pop(f"{origin.topic}-{origin.partition}-{origin.offset}", None)
            if found is not None:
                shown = self._shown(profile, origin, *found)
                profile = open_slate(profile, shown.slate, rules.reward)
            elif self._given_up != origin:
                return None
        self.profile = profile
        if event.type == FORGET:
            self._slate = None
        return Happened(
            event=event,
            origin=origin,
            state=state_change(before, profile, event, rules.session),
            rewards=tuple(answered.rewards),
            shown=shown,
            is_unanswered=asks and shown is None,
        )

    def _shown(self, profile: Profile, origin: Origin, slate: Slate, published_at: int) -> Shown:
        change = slate_change(self._slate, slate)
        self._slate = slate
        why = self._rules.explain(profile, slate)
        return Shown(slate=slate, change=change, why=why, took_ms=published_at - origin.time)


def _merged(runs: Sequence[list[_Read]]) -> Iterator[_Read]:
    """As `stream.work` puts the records of one cycle in order."""
    return iter(runs[0]) if len(runs) == 1 else heapq.merge(*runs, key=attrgetter("timestamp"))


def as_json(step: Step) -> dict[str, Any]:
    """A step as plain values; `kind` says which."""
    match step:
        case Started():
            return {"kind": "start", **inspection_json(step.inspection), "offsets": dict(step.offsets)}
        case Happened():
            shown = None if step.shown is None else _shown(step.shown)
            said = {"state": to_builtins(step.state), "rewards": to_builtins(step.rewards), "slate": shown}
            return {"kind": "event", **_event(step), **said, "is_unanswered": step.is_unanswered}
        case Repeated():
            return {"kind": "duplicate", **_event(step)}
        case Rejected():
            said = {"reason": step.reason, "detail": step.detail, "value": step.value}
            return {"kind": "dead_letter", "origin": step.origin._asdict(), **said}
        case Waiting():
            said = {"awaits": step.awaits, "records": step.records}
            return {"kind": "waiting", "origin": step.origin._asdict(), **said}


def _event(step: Happened | Repeated) -> dict[str, Any]:
    return {"event": event_fields(step.event), "origin": step.origin._asdict()}


def _shown(shown: Shown) -> dict[str, Any]:
    why: Sequence[Explanation | None] = shown.why or [None] * len(shown.slate.items)
    return {
        **to_builtins(shown.slate),
        "took_ms": shown.took_ms,
        "change": shown.change.count(),
        "left": list(shown.change.left),
        "items": [
            {
                **to_builtins(place.item),
                "before": place.before,
                "move": move(place),
                "neighbours_now": to_builtins(each),
            }
            for place, each in zip(shown.change.places, why, strict=True)
        ],
    }
