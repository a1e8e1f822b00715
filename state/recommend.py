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
from state.render import Rendered, names_of, render
from state.reranking.rulebook import Reranked, Rulebook
from state.reranking.rules import Rules
from state.retrieval.arrays import Longs
from state.retrieval.blend import Query, retrieve_all
from state.retrieval.plugged import Plugged, PluggedSources
from state.retrieval.weights import SOURCES
from state.seeds import seeds_of
from state.session import bought_since, session_index
from state.slate import SCHEMA_VERSION, SlateRules, Trigger
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
        plugged: Candidate sources beside those of the models.

    Attributes:
        ranker: What orders the candidates; None leaves them as the blend has them. It may be replaced between
            two calls.
    """

    def __init__(
        self, models: Models, shares: Shares, rules: RecommendRules, *, plugged: Sequence[Plugged] = ()
    ) -> None:
        self.ranker: Ranker | None = None
        self._models = models
        self._plugged = PluggedSources(plugged, models)
        self._names = names_of(SOURCES + self._plugged.names)
        self._shares = shares
        self._rules = rules
        self._book = Rulebook(Rules(), models)

    def follow(self, rules: Rules) -> None:
        """Put business rules in force, from the next slate on, in place of those before."""
        self._book = Rulebook(rules, self._models)

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Decide the slates that answer these events, each of which its profile already contains."""
        if not asked:
            return Slates.of(())
        rules, policy_of = self._rules, self._shares.policy_of
        queries = [query_of(profile, inbound.origin.time, rules) for profile, inbound in asked]
        pool = self._book.pool(rules.candidates)
        found = self._plugged.blend(queries, retrieve_all(self._models, queries, pool), pool)
        ranker = self.ranker
        featured = featurise(self._models, queries, found) if ranker or rules.log_features else None
        if ranker and featured:
            found = ranker.rank(found, featured)
        reranked = self._book.rerank(found, slots=rules.slots, size=rules.candidates)
        ranked = reranked.ranked
        policies = [policy_of(inbound.event.key) for _, inbound in asked]
        seeds = seeds_of([inbound.origin for _, inbound in asked])
        choices = _draw(policies, reranked, rules.slots, seeds)
        logged = featured if rules.log_features else None
        written = self._models.items.written()
        rendered = render(
            written, ranked, choices, factors=reranked.factors, names=self._names, featured=logged
        )
        marks = ranker.version if ranker else UNSET, FEATURE_SET if logged else UNSET
        said = reranked.said(choices)
        wire = _wire_slates(asked, policies, seeds.tolist(), ranked.counts.tolist(), rendered, marks, said)
        return Slates(wire, rendered.ends, rendered.hashes, rendered.propensities)


def _draw(policies: Sequence[Policy], reranked: Reranked, slots: int, seeds: Longs) -> Choices:
    """Let each policy draw the slates that are its own."""
    arms = set(policies)
    (_, scores, _, counts), limits = reranked.ranked, reranked.limits
    if len(arms) == 1:
        return policies[0].choose_all(scores, counts, slots, seeds, limits=limits)
    drawn = Choices.empty(counts, slots)
    for arm in arms:
        rows = [row for row, policy in enumerate(policies) if policy is arm]
        its_limits = limits and limits._replace(groups=limits.groups[rows])
        its = arm.choose_all(scores[rows], counts[rows], slots, seeds[rows], limits=its_limits)
        for whole, part in zip(drawn, its, strict=True):
            whole[rows] = part
    return drawn


def _wire_slates(
    asked: Sequence[Asked],
    policies: Sequence[Policy],
    seeds: Sequence[int],
    counts: Sequence[int],
    rendered: Rendered,
    marks: tuple[str | UnsetType, str | UnsetType],
    said: Sequence[SlateRules | UnsetType],
) -> list[WireSlate]:
    """Put the slates together; `marks` are their `ranker` and `feature_set`."""
    slates = []
    name = start = 0
    for (_, (event, origin)), policy, seed, count, name_end, end, probable, ruled in zip(
        asked,
        policies,
        seeds,
        counts,
        rendered.name_ends,
        rendered.item_ends,
        rendered.slate_propensities,
        said,
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
                ruled,
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
