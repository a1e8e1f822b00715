"""The one step of the engine: what a run of events does to its users.

The same function serves the worker, replay, evaluation and the tests. It is pure but for the models,
which it only reads: what an event teaches them goes out as a delta, and comes back to every worker,
this one included, through the log.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from state.attribution import answer
from state.event import FORGET, HEARTBEAT_TENANT, Event, Inbound
from state.exposure import Exposed, Exposing, pack_exposures
from state.profile import NEW_PROFILE, Profile
from state.reward import RewardRules
from state.session import SessionRules, fold_event
from state.slate import Delta, Learned, Reward, Span
from state.slates import Asked, Slates
from state.waiting import Waiting, waiting_in, with_slate, with_waiting

DEFAULT_SLATE_TYPES = frozenset(
    {"view", "click", "add_to_cart", "remove_from_cart", "purchase", "search", "like", "skip"}
)
"""Events after which a user's slate is worth changing."""


class StepRules(Struct, frozen=True):
    """How events are folded, rewarded and answered."""

    session: SessionRules = SessionRules()
    reward: RewardRules = RewardRules()
    slate_types: frozenset[str] = DEFAULT_SLATE_TYPES
    exposing: Exposing = "acted"
    """What exposes a slate to its user."""


class Decide(Protocol):
    """Chooses the slates of a run."""

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Return a slate for each event, in order.

        The profiles contain their events; their `open_slates` are those before the run.
        """
        ...


_NOTHING_LEARNED: Final[Sequence[tuple[Any, ...]]] = ((),) * len(Learned._fields)

_Folded: TypeAlias = tuple[str, Event, bool]
"""State key, event, and whether it asks for a slate."""


class Forgotten(NamedTuple):
    """A user who was to be forgotten."""

    key: str
    """State key. The user's profile is `NEW_PROFILE` unless further events followed."""
    slates: int
    """How many of the run's slates were asked for before that."""


class Outcome(NamedTuple):
    """What a run of events led to."""

    profiles: Mapping[str, Profile]
    """The users that changed, by state key."""
    slates: Slates
    rewards: Sequence[Reward]
    learned: Sequence[Learned]
    duplicates: int
    exposed: Sequence[Exposed] = ()
    """Items of slates that users have now seen, in log order; each of them once."""
    unattributed: Sequence[str] = ()
    """`state.attribution.REASONS` of feedback that earned nothing, one for each of its items."""
    forgotten: Sequence[Forgotten] = ()
    """In log order."""


class _Joined(NamedTuple):
    """What feedback proved, in log order."""

    rewards: list[Reward]
    exposed: list[Exposed]
    unattributed: list[str]


def step(
    inbounds: Iterable[Inbound], profiles: Mapping[str, Profile], decide: Decide, rules: StepRules
) -> Outcome:
    """Fold events, in log order, into profiles, rewards, slates and lessons.

    The result does not depend on how the log is cut into runs: every event sees its user as all
    events before it left them. What a slate contains depends on no other slate, so a run is folded first,
    then all its slates are decided at once, then feedback is joined to them.

    Args:
        inbounds: events of one partition, in log order.
        profiles: the users' profiles by state key; a missing user is new.
        decide: chooses slates. An audit passes one that looks up what was published.
        rules: how events are folded, rewarded and answered.
    """
    changed: dict[str, Profile] = {}
    folded: list[_Folded] = []
    asked: list[Asked] = []
    learned: list[Learned] = []
    forgotten: list[Forgotten] = []
    before_it: dict[str, Profile] = {}
    duplicates = 0
    for inbound in inbounds:
        event = inbound.event
        key = event.key
        before = changed.get(key) or profiles.get(key, NEW_PROFILE)
        result = fold_event(before, event, rules.session)
        if result.duplicate:
            duplicates += 1
            continue
        if event.type == FORGET:
            forgotten.append(Forgotten(key, len(asked)))
            before_it.setdefault(key, before)
        changed[key] = result.profile
        learned.extend(result.learned)
        # A heartbeat is there to be answered, whatever shoppers' events are.
        asks = event.type in rules.slate_types or event.is_heartbeat
        if asks:
            asked.append((result.profile, inbound))
        folded.append((key, event, asks))
    slates = decide(asked)
    waiting = {key: waiting_in(profile) for key, profile in before_it.items()}
    joined = _join(folded, changed, slates, waiting, rules)
    return Outcome(
        changed,
        slates,
        joined.rewards,
        learned,
        duplicates,
        joined.exposed,
        joined.unattributed,
        forgotten,
    )


def _join(
    folded: Sequence[_Folded],
    changed: MutableMapping[str, Profile],
    slates: Slates,
    waiting: dict[str, Waiting],
    rules: StepRules,
) -> _Joined:
    """Join feedback to the slates before it, and let the new slates await theirs in the changed profiles.

    `waiting` has what awaited feedback before the run, of those whose changed profile has forgotten it.
    """
    joined = _Joined([], [], [])
    number = 0
    for key, event, asks in folded:
        if event.tenant == HEARTBEAT_TENANT:
            # Nobody sees its slate, so nothing is awaited, and nothing was exposed.
            number += 1
            continue
        before = waiting.get(key) or waiting_in(changed[key])
        # Feedback answers what was shown before this event.
        found = answer(before, event, rules.reward, rules.exposing)
        after = found.waiting
        joined.rewards.extend(found.rewards)
        joined.exposed.extend(found.exposed)
        joined.unattributed.extend(found.unattributed)
        if asks:
            opened = slates.opened(number)
            number += 1
            if opened is not None:
                after = with_slate(after, opened, rules.reward)
        waiting[key] = after
    for key, left in waiting.items():
        changed[key] = with_waiting(changed[key], left)
    return joined


def delta_of(
    outcome: Outcome, spans: Sequence[Span], *, partition: int, events: int, dead_letters: int
) -> Delta:
    """Pack what a step taught into one record.

    Args:
        outcome: of the step.
        spans: the input records the step covered, dead letters and duplicates included.
        partition: source partition.
        events: how many records were events.
        dead_letters: how many were not.
    """
    index: dict[str, int] = {}
    learned = outcome.learned
    item_ids, sessions, times, types = zip(*learned, strict=True) if learned else _NOTHING_LEARNED
    item = tuple([index.setdefault(item_id, len(index)) for item_id in item_ids])
    return Delta(
        partition=partition,
        spans=tuple(spans),
        events=events,
        duplicates=outcome.duplicates,
        dead_letters=dead_letters,
        slates=len(outcome.slates),
        items=tuple(index),
        item=item,
        session=sessions,
        time=times,
        type=types,
        exposures=pack_exposures(outcome.exposed),
    )
