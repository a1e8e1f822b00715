"""From a profile to a slate: retrieve candidates, choose with known probabilities, log the decision."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from msgspec import UNSET, Raw, Struct, UnsetType

from state.models import Models
from state.policy.base import Choices, Policy
from state.policy.shares import Shares
from state.profile import Profile
from state.ranking.features import FEATURE_SET, featurise
from state.ranking.ranker import Ranker
from state.render import Rendered, render
from state.retrieval.arrays import Longs
from state.retrieval.blend import Query, Ranked, retrieve_all
from state.seeds import seeds_of
from state.session import bought_since, session_index
from state.slate import SCHEMA_VERSION, Trigger
from state.slates import Asked, Slates, WireSlate

_DAY_MS: Final = 86_400_000


class RecommendRules(Struct, frozen=True):
    """What a slate is made of."""

    slots: int = 10
    """Items per slate."""
    candidates: int = 60
    """Candidates the policy chooses from."""
    exclude_bought_ms: int = 7 * _DAY_MS
    """How long an item that the user bought is left out."""
    log_features: bool = False
    """Whether slates say what a ranker sees of their items, for training on them later."""


class Recommender:
    """Decides slates from the shared models; calling one is `state.step.Decide`.

    Args:
        models: Where candidates come from, for every user the same.
        shares: Which policy draws whose slates.
        rules: What a slate is made of.

    Attributes:
        ranker: What orders the candidates; None leaves them as the blend has them. It may be replaced between
            two calls.
    """

    def __init__(self, models: Models, shares: Shares, rules: RecommendRules) -> None:
        self.ranker: Ranker | None = None
        self._models = models
        self._shares = shares
        self._rules = rules

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Decide the slates that answer these events, each of which its profile already contains."""
        if not asked:
            return Slates.of(())
        rules, policy_of = self._rules, self._shares.policy_of
        queries = [query_of(profile, inbound.origin.time, rules) for profile, inbound in asked]
        ranked = retrieve_all(self._models, queries, rules.candidates)
        ranker = self.ranker
        featured = featurise(self._models, queries, ranked) if ranker or rules.log_features else None
        if ranker and featured:
            ranked = ranker.rank(ranked, featured)
        policies = [policy_of(inbound.event.key) for _, inbound in asked]
        seeds = seeds_of([inbound.origin for _, inbound in asked])
        choices = _draw(policies, ranked, rules.slots, seeds)
        logged = featured if rules.log_features else None
        rendered = render(self._models.items.written(), ranked, choices, logged)
        marks = ranker.version if ranker else UNSET, FEATURE_SET if logged else UNSET
        wire = _wire_slates(asked, policies, seeds.tolist(), ranked.counts.tolist(), rendered, marks)
        return Slates(wire, rendered.ends, rendered.hashes, rendered.propensities)


def _draw(policies: Sequence[Policy], ranked: Ranked, slots: int, seeds: Longs) -> Choices:
    """Let each policy draw the slates that are its own."""
    arms = set(policies)
    if len(arms) == 1:
        return policies[0].choose_all(ranked.scores, ranked.counts, slots, seeds)
    drawn = Choices.empty(len(policies), slots)
    for arm in arms:
        rows = [row for row, policy in enumerate(policies) if policy is arm]
        its = arm.choose_all(ranked.scores[rows], ranked.counts[rows], slots, seeds[rows])
        drawn.indices[rows] = its.indices
        drawn.propensities[rows] = its.propensities
    return drawn


def _wire_slates(
    asked: Sequence[Asked],
    policies: Sequence[Policy],
    seeds: Sequence[int],
    counts: Sequence[int],
    rendered: Rendered,
    marks: tuple[str | UnsetType, str | UnsetType],
) -> list[WireSlate]:
    """Put the slates together; `marks` are their `ranker` and `feature_set`."""
    slates = []
    name = start = 0
    for (_, (event, origin)), policy, seed, count, name_end, end, probable in zip(
        asked,
        policies,
        seeds,
        counts,
        rendered.name_ends,
        rendered.item_ends,
        rendered.slate_propensities,
        strict=True,
    ):
        topic, partition, offset, time = origin
        slates.append(
            WireSlate(
                f"{topic}-{partition}-{offset}",
                event.user_id,
                event.tenant,
                event.scenario,
                time,
                Trigger(event.event_id, event.time, topic, partition, offset),
                policy.name,
                policy.version,
                seed,
                count,
                candidates_hash(rendered.names[name:name_end]),
                Raw(rendered.items[start:end]),
                probable or None,
                SCHEMA_VERSION,
                *marks,
            )
        )
        name, start = name_end, end
    return slates


def query_of(profile: Profile, now: int, rules: RecommendRules) -> Query:
    """What candidates this user is asked for at `now`, epoch milliseconds."""
    session = session_index(profile)
    return Query(
        profile.items[session:],
        profile.items[:session],
        bought_since(profile, now - rules.exclude_bought_ms),
        now,
        rules.candidates,
        profile.session_key,
    )


def candidates_hash(names: bytes | memoryview) -> str:
    """Hash a candidate list in its ranked order: 16 hex digits of blake2b over the ids and newlines."""
    return blake2b(names, digest_size=8).hexdigest()
