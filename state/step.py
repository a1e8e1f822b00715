"""The one step of the engine: what a run of events does to its users.

The same function serves the worker, replay, evaluation and the tests. It is pure but for the models,
which it only reads: what an event teaches them goes out as a delta, and comes back to every worker,
this one included, through the log.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from state.attribution import RewardRules, attribute, open_slate
from state.event import Inbound
from state.profile import NEW_PROFILE, Profile
from state.session import SessionRules, fold_event
from state.slate import Delta, Learned, Reward, Slate, Span

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
    """Chooses a slate for a user after an event."""

    def __call__(self, profile: Profile, inbound: Inbound) -> Slate:
        """Return the slate that answers `inbound`, whose event `profile` already contains."""
        ...


class Outcome(NamedTuple):
    """What a run of events led to."""

    profiles: Mapping[str, Profile]
    """The users that changed, by state key."""
    slates: Sequence[Slate]
    rewards: Sequence[Reward]
    learned: Sequence[Learned]
    duplicates: int


def step(
    inbounds: Iterable[Inbound], profiles: Mapping[str, Profile], decide: Decide, rules: StepRules
) -> Outcome:
    """Fold events, in log order, into profiles, rewards, slates and lessons.

    The result does not depend on how the log is cut into runs: every event sees its user as all
    events before it left them.

    Args:
        inbounds: events of one partition, in log order.
        profiles: the users' profiles by state key; a missing user is new.
        decide: chooses slates. An audit passes one that looks up what was published.
        rules: how events are folded, rewarded and answered.
    """
    changed: MutableMapping[str, Profile] = {}
    slates: list[Slate] = []
    rewards: list[Reward] = []
    learned: list[Learned] = []
    duplicates = 0
    for inbound in inbounds:
        event = inbound.event
        key = event.key
        before = changed.get(key) or profiles.get(key, NEW_PROFILE)
        folded = fold_event(before, event, rules.session)
        if folded.duplicate:
            duplicates += 1
            continue
        # Feedback answers what was shown before this event, so it is joined to the profile as it was.
        rewards.extend(attribute(before, event, rules.reward))
        learned.extend(folded.learned)
        profile = folded.profile
        if event.type in rules.slate_types:
            slate = decide(profile, inbound)
            slates.append(slate)
            profile = open_slate(profile, slate, rules.reward)
        changed[key] = profile
    return Outcome(changed, slates, rewards, learned, duplicates)


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
