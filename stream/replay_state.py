"""One user at a past moment, from the log alone: the profile, the slate of then, and the same decided again.

The user's events are folded as an audit does it (`stream/user_history.py`), the models as the worker did that
decided (`stream/refold.py`). Then the same policy draws with the same seed, and each part of the answer is
compared with what was published.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET, Struct

from state.event import DEFAULT_TENANT, state_key
from state.policy.river_model import learners_of
from state.profile import Profile
from state.recommend import Recommender
from state.slate import Slate
from state.slates import Slates
from stream.codecs import decode_slate, encode_slate
from stream.config import Settings
from stream.connection import connection
from stream.inspection import state_partitions
from stream.plugins import plugged_sources
from stream.ranker import RankerRefused, decode_ranker, ranker_of
from stream.reading import read_topic
from stream.refold import Orders, Refold, Shared, deltas_of, read_shared
from stream.rules_file import read_rules
from stream.user_history import (
    FORGOTTEN,
    Decided,
    History,
    check_time,
    events_of,
    fold_user,
    log_start_of,
)
from stream.worker import assignment, recommender
from stream.worker_metrics import WorkerMetrics

Of: TypeAlias = Callable[[Slate], str | Sequence[object]]
"""What of a slate is compared."""

DIGITS: Final = 9
"""Of numbers that are shown."""


class Part(Struct, frozen=True):
    """One part of the answer, as published and as decided again."""

    name: str
    same: bool | None
    """Bit for bit; None where it cannot be compared."""
    published: str
    again: str
    why: str = ""
    """Why it can differ, or cannot be compared."""


class PastState(Struct, kw_only=True):
    """What was, and what is decided again."""

    user_id: str
    tenant: str
    key: str
    at: int
    partition: int
    profile: Profile
    """After the user's last event up to that moment."""
    events: int
    """Of the user, up to that moment."""
    slate: Slate | None = None
    """The last one published up to that moment; None where the user had none."""
    again: Slate | None = None
    parts: list[Part] = []
    folded: int = 0
    """Records of `deltas`, `items` and `rewards` in the models."""
    assumed_order: int = 0
    """Those of them whose place in the worker's order the log does not say."""

    @property
    def is_same(self) -> bool:
        """Whether every part that can be compared is the same."""
        return all(part.same is not False for part in self.parts)


async def replay_state(
    settings: Settings, user_id: str, at: int, *, tenant: str = DEFAULT_TENANT
) -> PastState:
    """Rebuild a user's state at a moment, and decide the slate of then once more.

    `deltas`, `items` and the user's partition of the inputs and slates are read from their beginning and held
    in memory.

    Args:
        settings: Of the workers, as they were then: policy, models, rules.
        user_id: Or the anonymous id, as events have it.
        at: Epoch milliseconds, by the timestamps of input records.
        tenant: Of the user.

    Raises:
        NoSuchPast: The log knows nothing of the user at that time.
        InspectionError: The topics do not exist.
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    topics = (*settings.input_topics, settings.slates_topic, settings.deltas_topic, settings.items_topic)
    partitions = await state_partitions(settings, topics)
    key = state_key(tenant, user_id)
    partition, inputs = await events_of(settings, key, user_id, partitions)
    check_time(key, inputs, at, await log_start_of(settings, partition))
    shared = await read_shared(settings)
    published = {
        decode_slate(record.value).slate_id: record.value
        async for record in read_topic(connection(settings), settings.slates_topic, partitions=(partition,))
        if record.value is not None and record.key == key.encode()
    }
    cycles = [pair for pair in deltas_of(settings, shared) if pair[1].partition == partition]
    history = fold_user(settings, key, inputs, cycles, published, at)
    found = PastState(
        user_id=user_id,
        tenant=tenant,
        key=key,
        at=at,
        partition=partition,
        profile=history.profile,
        events=history.events,
    )
    found.parts.append(await _compare_profile(settings, key, partition, history))
    ids = [slate_id for slate_id in history.decided if slate_id in published]
    if ids:
        await _decide_again(settings, found, history.decided[ids[-1]], published[ids[-1]], shared)
    return found


async def _compare_profile(settings: Settings, key: str, partition: int, history: History) -> Part:
    """The folded profile beside what the workers wrote to the changelog."""
    kept = [
        record.value or FORGOTTEN
        async for record in read_topic(connection(settings), settings.profiles_topic, partitions=(partition,))
        if record.key == key.encode()
    ]
    folded = history.written[history.last]
    again = f"{len(folded)} bytes"
    if folded in kept:
        return Part("profile", True, again, again)
    if not kept or kept[-1] == FORGOTTEN:
        return Part("profile", None, "expired", again, "the changelog holds no profile of this user any more")
    if history.last == len(history.written) - 1 or len(kept) >= len(history.written):
        why = (
            "events or slates that it was folded from may be gone from the log, or "
            "FRESHSLATE_SESSION_GAP_SECONDS or the version of Freshslate were others"
        )
        return Part("profile", False, f"{len(kept[-1])} bytes", again, why)
    now = "the same" if history.written[-1] in kept else "not the same"
    why = f"the changelog is compacted and has a later profile only; folded on to now it is {now} bit for bit"
    return Part("profile", None, "compacted", again, why)


async def _decide_again(
    settings: Settings, found: PastState, decided: Decided, value: bytes, shared: Shared
) -> None:
    """Fold the models as they were, decide, and compare."""
    plugged = plugged_sources(settings.sources, WorkerMetrics())
    orders = Orders(delta for _, delta in deltas_of(settings, shared))
    serving = assignment(settings)
    refold = Refold(settings, shared, orders, plugged=plugged, learners=learners_of(serving.policies))
    said = decided.delta.folded
    if said is UNSET:
        refold.until_time(decided.time)
    else:
        refold.until(said)
    decide = recommender(settings, refold.models, plugged, serving=serving)
    decide.beliefs = refold.beliefs
    slate = decode_slate(value)
    parts = [*await _rank_as(settings, decide, slate), *_ruled_as(settings, decide, slate)]
    again = Slates.of(decide([decided.asked]))
    found.slate, found.again = slate, again[0]
    found.folded, found.assumed_order = refold.folded, refold.assumed
    found.parts += parts
    found.parts += compare(slate, again[0], why=_order_note(refold, said is UNSET))
    whole = encode_slate(again.wire[0]) == value
    found.parts.append(
        Part("record", whole, f"{len(value)} bytes", f"{len(encode_slate(again.wire[0]))} bytes")
    )


def _order_note(refold: Refold, unsaid: bool) -> str:
    if unsaid:
        return (
            "the delta of that cycle does not say what the worker's models had folded (an older Freshslate "
            "wrote it): the models are those of all records before its time"
        )
    if refold.assumed:
        return (
            f"the log does not say in which order {refold.assumed:,} of {refold.folded:,} records were "
            "folded; ties and sums depend on it"
        )
    return (
        "the models were folded in the worker's own order: look for another setting or version than then, or "
        "for catalogue items that were replaced since (`items` is compacted)"
    )


async def _rank_as(settings: Settings, decide: Recommender, slate: Slate) -> list[Part]:
    """Put the ranker that the slate names in charge."""
    if slate.ranker is UNSET:
        return []
    async for record in read_topic(connection(settings), settings.rankers_topic):
        try:
            artefact = decode_ranker(record.value or b"")
        except RankerRefused:
            continue
        if artefact.version == slate.ranker:
            decide.ranker = ranker_of(artefact)
            return [Part("ranker", True, slate.ranker, artefact.version)]
    why = (
        f"{settings.rankers_topic} is compacted and holds this ranker no more: the blend alone decides again"
    )
    return [Part("ranker", False, slate.ranker, "none", why)]


def _ruled_as(settings: Settings, decide: Recommender, slate: Slate) -> list[Part]:
    """Put the configured business rules in force, and compare their version with the slate's."""
    told = slate.rules.version if slate.rules is not UNSET else "none"
    now = "none"
    if settings.rules_file is not None:
        rules = read_rules(settings.rules_file.read_bytes())
        decide.follow(rules)
        now = rules.version
    if told == now == "none":
        return []
    why = "" if told == now else "FRESHSLATE_RULES_FILE is not the file of then: give the one of that version"
    return [Part("rules", told == now, told, now, why)]


def compare(slate: Slate, again: Slate, *, why: str) -> list[Part]:
    """The parts of two slates, in the order in which one leads to the next.

    Args:
        slate: As published.
        again: As decided again.
        why: What can make candidates differ.
    """
    policies = [f"{each.policy} {each.policy_version}" for each in (slate, again)]
    same_policy = policies[0] == policies[1]
    other = (
        ""
        if same_policy
        else "another policy is configured now: set FRESHSLATE_POLICY and its parameters as then"
    )
    parts = [
        Part("policy", same_policy, policies[0], policies[1], other),
        Part("seed", slate.seed == again.seed, str(slate.seed), str(again.seed)),
        _part("candidates_hash", slate, again, _hash, why),
    ]
    if not same_policy:
        parts += [Part(name, None, "", "", "drawn by another policy") for name in ("items", "propensities")]
        return parts
    reason = why if parts[-1].same else "other candidates"
    for name, of in (("items", _items), ("scores", _scores), ("propensities", _propensities)):
        parts.append(_part(name, slate, again, of, reason))
    return parts


def _part(name: str, slate: Slate, again: Slate, of: Of, why: str) -> Part:
    published, decided = of(slate), of(again)
    same = published == decided
    return Part(name, same, _shown(published), _shown(decided), "" if same else why)


def _shown(values: str | Sequence[object]) -> str:
    if isinstance(values, str):
        return values
    return " ".join(f"{each:.{DIGITS}g}" if isinstance(each, float) else str(each) for each in values)


def _hash(slate: Slate) -> str:
    return slate.candidates_hash


def _items(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def _scores(slate: Slate) -> list[float]:
    return [item.score for item in slate.items]


def _propensities(slate: Slate) -> list[float]:
    return [item.propensity for item in slate.items]
