"""The one step of the engine: what a run of events does to its users.

The same function serves the worker, replay, evaluation and the tests. It is pure but for the models,
which it only reads: what an event teaches them goes out as a delta, and comes back to every worker,
this one included, through the log.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from state.attribution import RewardRules, answered, with_slate
from state.event import Event, Inbound
from state.profile import NEW_PROFILE, OpenSlate, Profile
from state.session import SessionRules, fold_event
from state.slate import Delta, Learned, Reward, Span
from state.slates import Asked, Slates

DEFAULT_SLATE_TYPES = frozenset(
    {"view", "click", "add_to_cart", "remove_from_cart", "purchase", "search", "like", "skip"}
)
"""Events after which a user's slate is worth changing."""


class StepRules(Struct, frozen=True):
    """How events are folded, rewarded and answered."""

    session: SessionRules = SessionRules()
    reward: RewardRules = RewardRules()
    slate_types: frozenset[str] = DEFAULT_SLATE_TYPES


class Decide(Protocol):
    """Chooses the slates of a run."""

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Return a slate for each event, in order.

        The profiles contain their events; their `open_slates` are those before the run.
        """
        ...


_Folded: TypeAlias = tuple[str, Event, bool]
"""State key, event, and whether it asks for a slate."""


class Outcome(NamedTuple):
    """What a run of events led to."""

    profiles: Mapping[str, Profile]
    """The users that changed, by state key."""
    slates: Slates
    rewards: Sequence[Reward]
    learned: Sequence[Learned]
    duplicates: int


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
    duplicates = 0
    for inbound in inbounds:
        event = inbound.event
        key = event.key
        before = changed.get(key) or profiles.get(key, NEW_PROFILE)
        result = fold_event(before, event, rules.session)
        if result.duplicate:
            duplicates += 1
            continue
        changed[key] = result.profile
        learned.extend(result.learned)
        asks = event.type in rules.slate_types
        if asks:
            asked.append((result.profile, inbound))
        folded.append((key, event, asks))
    slates = decide(asked)
    rewards = _join(folded, changed, slates, rules.reward)
    return Outcome(changed, slates, rewards, learned, duplicates)


def _join(
    folded: Sequence[_Folded], changed: MutableMapping[str, Profile], slates: Slates, rules: RewardRules
) -> list[Reward]:
    """Join feedback to the slates before it, and let the new slates await theirs in the changed profiles."""
    rewards: list[Reward] = []
    opened: dict[str, tuple[OpenSlate, ...]] = {}
    number = 0
    for key, event, asks in folded:
        waiting = opened.get(key)
        if waiting is None:
            waiting = changed[key].open_slates
        # Feedback answers what was shown before this event.
        if waiting:
            rewards.extend(answered(waiting, event, rules))
        if asks:
            new = slates.opened(number)
            number += 1
            if new is not None:
                opened[key] = with_slate(waiting, new, rules)
    for key, waiting in opened.items():
        changed[key] = replace(changed[key], open_slates=waiting)
    return rewards


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
    item = tuple(index.setdefault(lesson.item_id, len(index)) for lesson in learned)
    return Delta(
        partition=partition,
        spans=tuple(spans),
        events=events,
        duplicates=outcome.duplicates,
        dead_letters=dead_letters,
        slates=len(outcome.slates),
        items=tuple(index),
        item=item,
        session=tuple(lesson.session_key for lesson in learned),
        time=tuple(lesson.time for lesson in learned),
        type=tuple(lesson.type_code for lesson in learned),
    )
