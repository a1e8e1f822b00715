"""What the engine answers: the slate with its decision log, the reward, and the delta.

These are the values written to the topics `slates`, `rewards` and `deltas` (`docs/events.md`).
All times are epoch milliseconds.

Structs are out of the garbage collector's sight (`gc=False`): they hold no cycles, and a cycle of the
worker builds tens of thousands of them.
"""

from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType

SCHEMA_VERSION = 1


class Source(Struct, frozen=True, gc=False):
    """What one candidate source said of an item."""

    name: str
    score: float
    """Its share of the blended score, after normalising and weighting; a ranker changes none of it."""


class RuleFactor(Struct, frozen=True, gc=False):
    """What one business rule made of an item's score."""

    name: str
    """One of `state.reranking.rules.FACTORS`."""
    factor: float
    """On the score; at least 0, not 1."""


class SlateRules(Struct, frozen=True, gc=False):
    """What the business rules did to the candidates of a slate."""

    version: str
    """8 hex digits: equal versions are equal rules."""
    excluded: int
    """Candidates that are on an exclusion list."""
    capped: int
    """Candidates that were left out because of their category's limit."""


class SlateItem(Struct, frozen=True, gc=False):
    """One published item."""

    item_id: str
    position: int
    """1-based."""
    score: float
    """What the policy went by, at least 0: the sources' shares together, or the score of the ranker that the
    slate names, times the factors of `rules`."""
    propensity: float
    """Probability of this item at this position given the items above it, (0, 1]; a float32 value in its
    shortest decimal form (`state.shortest`), so that slates, profiles and rewards agree."""
    sources: tuple[Source, ...]
    rules: tuple[RuleFactor, ...] | UnsetType = UNSET
    """Factors other than 1; absent where there is none."""
    features: tuple[float, ...] | UnsetType = UNSET
    """What a ranker sees of the item, where the slate names a `feature_set`; float32 as `propensity`."""
    expected: float | UnsetType = UNSET
    """Reward that the policy expected an exposure to earn, float32 as `propensity`; absent where it goes by
    scores alone."""


class Trigger(Struct, frozen=True, gc=False):
    """The event that asked for a slate."""

    event_id: str
    time: int
    topic: str
    partition: int
    offset: int


class Pool(Struct, frozen=True, gc=False):
    """All candidates that the policy chose from, in their ranked order: another policy can choose again."""

    items: tuple[str, ...]
    """[n] item ids, the published ones among them."""
    scores: tuple[float, ...]
    """[n] what the policy went by, float32 as `SlateItem.propensity`."""
    context: str
    """Base64 of [n, `CONTEXT_SIZE`] bytes: what a learning policy sees of each (`state.policy.context`)."""
    context_set: str
    """`state.policy.context.CONTEXT_SET`: contexts of another set mean something else."""


class Slate(Struct, frozen=True, kw_only=True, gc=False):
    """A recommendation and everything needed to judge another policy on it later."""

    slate_id: str
    user_id: str
    tenant: str
    scenario: str
    time: int
    """Kafka timestamp of the trigger's record: log time, not the clock of the machine that decided."""
    trigger: Trigger
    policy: str
    policy_version: str
    seed: int
    """Seed of the draw, below 2**53 so that every JSON reader keeps it."""
    candidates: int
    """How many candidates the policy chose from."""
    candidates_hash: str
    """16 hex digits over the candidates' ids in their ranked order."""
    items: tuple[SlateItem, ...]
    slate_propensity: float | None = None
    """Probability of the whole ordered slate; absent where it underflows."""
    schema_version: int = SCHEMA_VERSION
    ranker: str | UnsetType = UNSET
    """Version of the ranker that scored and ordered the candidates; absent where the blend did."""
    feature_set: str | UnsetType = UNSET
    """`state.ranking.features.FEATURE_SET` of the logged features; absent where none are logged."""
    rules: SlateRules | UnsetType = UNSET
    """Absent where no rules were in force."""
    pool: Pool | UnsetType = UNSET
    """Absent where candidates are not logged."""


class Reward(Struct, frozen=True, kw_only=True, gc=False):
    """Feedback joined to the decision it answers."""

    reward_id: str
    slate_id: str
    event_id: str
    user_id: str
    tenant: str
    scenario: str
    item_id: str
    position: int
    type: str
    time: int
    """Event time of the feedback."""
    reward: float
    value: float | None
    currency: str | None
    propensity: float
    policy: str
    policy_version: str
    delay_seconds: float
    """Event time of the feedback minus time of the slate; negative if the clocks disagree."""
    features: tuple[float, ...] = ()
    """[`CONTEXT_SIZE`] what the policy saw of the item, 0 to 255 (`state.policy.context`); empty where the
    slate keeps none."""
    schema_version: int = SCHEMA_VERSION
    reward_version: str = ""
    """`state.reward.RewardRules.version`: equal versions reward alike."""
    corrects: str | UnsetType = UNSET
    """`reward_id` of the reward that this one takes back, all or in part; absent but for a refund."""


class Span(Struct, frozen=True, gc=False):
    """A run of input records, both ends included."""

    topic: str
    first_offset: int
    last_offset: int


class Exposures(Struct, frozen=True, gc=False):
    """Items of slates that users have seen, by slate [slates] and by item [n]; each of them once."""

    slates: tuple[str, ...]
    """[slates] slate ids."""
    times: tuple[int, ...]
    """[slates] of the slates."""
    policies: tuple[str, ...]
    """[slates] name and version of the policy that drew it, as `name/version`."""
    slate: tuple[int, ...]
    """[n] index into `slates`."""
    position: tuple[int, ...]
    """[n] 1-based."""
    context: str
    """Base64 of [n, `CONTEXT_SIZE`] bytes: what the policy saw of each item (`state.policy.context`)."""
    context_set: str
    scenarios: tuple[str, ...] = ()
    """[slates] of the slates; empty where they are not told apart."""


class FoldedRun(NamedTuple):
    """Records of one partition that a worker folded into its models at once."""

    topic: int
    """Index into `Folded.offsets`."""
    partition: int
    first: int
    """Offset of the first of them."""
    end: int
    """Next offset after the last of them."""


class Folded(Struct, frozen=True, gc=False):
    """What of the shared topics a worker's models contained when it decided, and in which order it came.

    Sums and dense ids depend on that order, so only who folds the same runs again decides the same.
    """

    worker: str
    """Names one life of one process."""
    number: int
    """How many runs its models have folded, those of the snapshot it began with among them."""
    offsets: tuple[tuple[int, ...], ...]
    """Next offset to fold, by topic (deltas, items) and partition."""
    runs: tuple[FoldedRun, ...] = ()
    """The latest ones, oldest first, the last of which is run `number`: all since what the worker said
    before, but for those of a long start."""
    parent: str | UnsetType = UNSET
    """The worker whose snapshot it began with; absent where it began with nothing."""


class Delta(Struct, frozen=True, kw_only=True, gc=False):
    """What one micro-batch of one partition teaches the shared models.

    The four arrays have one entry per learned interaction [n].
    """

    partition: int
    spans: tuple[Span, ...]
    """Which input records this batch covers; all deltas of a partition together cover the log."""
    events: int
    duplicates: int
    dead_letters: int
    slates: int
    items: tuple[str, ...]
    """Distinct item ids of this batch."""
    item: tuple[int, ...]
    """[n] index into `items`."""
    session: tuple[int, ...]
    """[n] session key, below 2**53; 0 for an interaction of no current session."""
    time: tuple[int, ...]
    """[n] event time."""
    type: tuple[int, ...]
    """[n] index into `state.event.EVENT_TYPES`."""
    exposures: Exposures | UnsetType = UNSET
    """Absent where nothing was seen."""
    schema_version: int = SCHEMA_VERSION
    folded: Folded | UnsetType = UNSET
    """What the worker's models contained when it decided this batch: for `freshslate replay-state`."""


class Learned(NamedTuple):
    """One interaction that the shared models learn from."""

    item_id: str
    session_key: int
    time: int
    type_code: int
