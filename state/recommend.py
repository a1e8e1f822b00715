"""From a profile to a slate: retrieve candidates, choose with known probabilities, log the decision."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from state.drawing import Asking, Drawn, draw
from state.event import Event, Origin
from state.models import Models
from state.policy.base import Policy
from state.policy.context import contexts_of
from state.policy.learning import learns
from state.policy.shares import Assignment
from state.posterior.beliefs import PRIOR, Beliefs
from state.profile import Profile
from state.ranking.features import FEATURE_SET, Featured, featurise
from state.ranking.ranker import Ranker
from state.render import Rendered, names_of, render
from state.render_pool import render_pools
from state.reranking.rulebook import Reranked, Rulebook
from state.reranking.rules import Rules
from state.retrieval.arrays import Ints, Longs
from state.retrieval.blend import Query, retrieve_all
from state.retrieval.plugged import Plugged, PluggedSources
from state.retrieval.weights import SOURCES
from state.seeds import mixed_all, seeds_of
from state.session import bought_since, session_index
from state.slate import SCHEMA_VERSION, SlateRules, Trigger
from state.slates import Asked, Slates, WireSlate

POOL_SALT: Final = np.uint64(0x6C6F_6720_706F_6F6C)
"""Picks the slates that say all their candidates."""
_DAY_MS: Final = 86_400_000
_CANDIDATES_HASH: Final = blake2b(digest_size=8)
"""Of nothing yet: a copy takes half of what a new one does."""


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
    log_candidates: float = 0.0
    """Share of slates, by a hash of their ids, that say all candidates, for judging other policies later."""


class Recommender:
    """Decides slates from the shared models; calling one is `state.step.Decide`.

    Args:
        models: Where candidates come from, for every user the same.
        assignment: Which policy draws whose slates.
        rules: What a slate is made of.
        plugged: Candidate sources beside those of the models.

    Attributes:
        ranker: What orders the candidates; None leaves them as the blend has them. It may be replaced between
            two calls, as the next two.
        assignment: Which policy draws whose slates.
        beliefs: What learning policies go by.
    """

    def __init__(
        self,
        models: Models,
        assignment: Assignment,
        rules: RecommendRules,
        *,
        plugged: Sequence[Plugged] = (),
    ) -> None:
        self.ranker: Ranker | None = None
        self.assignment = assignment
        self.beliefs: Beliefs = PRIOR
        self._models = models
        self._plugged = PluggedSources(plugged, models)
        self._names = names_of(SOURCES + self._plugged.names)
        self._rules = rules
        self._book = Rulebook(Rules(), models)

    def follow(self, rules: Rules) -> None:
        """Put business rules in force, from the next slate on, in place of those before."""
        self._book = Rulebook(rules, self._models)

    def __call__(self, asked: Sequence[Asked]) -> Slates:
        """Decide the slates that answer these events, each of which its profile already contains."""
        if not asked:
            return Slates.of(())
        rules = self._rules
        reranked, featured, ranker = self._candidates(asked)
        scenarios = [inbound.event.scenario for _, inbound in asked]
        policies = _policies(self.assignment, [inbound.event for _, inbound in asked])
        asking = Asking(policies, scenarios, seeds_of([inbound.origin for _, inbound in asked]))
        logged = self._logged(asking.seeds)
        is_wanted = logged.size or any(map(learns, set(policies)))
        contexts = contexts_of(reranked.ranked) if is_wanted else None
        drawn = draw(asking, reranked, rules.slots, contexts=contexts, beliefs=self.beliefs)
        written = self._models.items.written()
        rendered = render(
            written,
            reranked.ranked,
            drawn.choices,
            factors=reranked.factors,
            names=self._names,
            featured=featured,
            expected=drawn.expected,
        )
        marks = ranker, FEATURE_SET if featured else UNSET
        said, counts = reranked.said(drawn.choices), reranked.ranked.counts.tolist()
        pools: Sequence[Raw | UnsetType] = [UNSET] * len(asked)
        kept = b""
        if contexts is not None and logged.size:
            pools = render_pools(written, reranked.ranked, contexts, logged)
            kept = _kept(drawn, logged)
        wire = _wire_slates(asked, asking, counts, rendered, marks, said, pools)
        return Slates(wire, rendered.ends, rendered.hashes, rendered.propensities, kept)

    def _candidates(self, asked: Sequence[Asked]) -> tuple[Reranked, Featured | None, str | UnsetType]:
        """The candidates after ranker and rules, the features to log, and the ranker's version."""
        rules, ranker = self._rules, self.ranker
        queries = [query_of(profile, inbound.origin.time, rules) for profile, inbound in asked]
        pool = self._book.pool(rules.candidates)
        found = self._plugged.blend(queries, retrieve_all(self._models, queries, pool), pool)
        featured = featurise(self._models, queries, found) if ranker or rules.log_features else None
        if ranker and featured:
            found = ranker.rank(found, featured)
        reranked = self._book.rerank(found, slots=rules.slots, size=rules.candidates)
        return reranked, featured if rules.log_features else None, ranker.version if ranker else UNSET

    def _logged(self, seeds: Longs) -> Ints:
        """Rows of the slates that say all their candidates, by their seeds: hashes of the slates' ids."""
        share = self._rules.log_candidates
        if share <= 0.0:
            return np.zeros(0, np.int32)
        # Bits of a stream of their own: what is drawn does not depend on what is logged.
        places = mixed_all(seeds.astype(np.uint64) ^ POOL_SALT).astype(np.float64) * 2.0**-64
        return np.flatnonzero((places < share) | (share >= 1.0)).astype(np.int32)


def _policies(assignment: Assignment, events: Sequence[Event]) -> Sequence[Policy]:
    """Who draws the slates that answer these events [n]."""
    if len(assignment.policies) == 1:
        return assignment.policies * len(events)
    policy_of = assignment.policy_of
    return [policy_of(event.key, event.scenario) for event in events]


def _kept(drawn: Drawn, logged: Ints) -> bytes:
    """Contexts of the items of slates that say their candidates; zeros for the others.

    The profile keeps what the log says too, so that whoever reads the log folds the same.
    """
    sizes = drawn.choices.sizes
    if logged.size == sizes.size:
        return drawn.contexts.tobytes()
    is_logged = np.zeros(sizes.size, np.bool_)
    is_logged[logged] = True
    return (drawn.contexts * np.repeat(is_logged, sizes)[:, np.newaxis]).tobytes()


def _slate_id(origin: Origin) -> str:
    return f"{origin.topic}-{origin.partition}-{origin.offset}"


def _wire_slates(
    asked: Sequence[Asked],
    asking: Asking,
    counts: Sequence[int],
    rendered: Rendered,
    marks: tuple[str | UnsetType, str | UnsetType],
    said: Sequence[SlateRules | UnsetType],
    pools: Sequence[Raw | UnsetType],
) -> list[WireSlate]:
    """Put the slates together; `marks` are their `ranker` and `feature_set`."""
    slates = []
    name = start = 0
    for (_, (event, origin)), policy, seed, count, name_end, end, probable, ruled, pool in zip(
        asked,
        asking.policies,
        asking.seeds.tolist(),
        counts,
        rendered.name_ends,
        rendered.item_ends,
        rendered.slate_propensities,
        said,
        pools,
        strict=True,
    ):
        topic, partition, offset, time = origin
        slates.append(
            WireSlate(
                _slate_id(origin),
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
                pool,
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
    hashed = _CANDIDATES_HASH.copy()
    hashed.update(names)
    return hashed.hexdigest()
