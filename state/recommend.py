"""From a profile to a slate: retrieve candidates, choose with known probabilities, log the decision."""

import hashlib
import math
from itertools import compress
from typing import Final

from msgspec import Struct

from state.event import Inbound
from state.models import Models
from state.policy.shares import Shares
from state.profile import Profile
from state.retrieval.arrays import Ints
from state.retrieval.blend import SOURCES, Candidates, Query, retrieve
from state.seeds import seed_of
from state.session import bought_since, older_items, session_items
from state.slate import Slate, SlateItem, Source, Trigger

_DAY_MS: Final = 86_400_000


class RecommendRules(Struct, frozen=True):
    """What a slate is made of."""

    slots: int = 10
    """Items per slate."""
    candidates: int = 60
    """Candidates the policy chooses from."""
    exclude_bought_ms: int = 7 * _DAY_MS
    """How long an item that the user bought is left out."""


class Recommender:
    """Decides slates from the shared models; calling one is `state.step.Decide`.

    Args:
        models: Where candidates come from, for every user the same.
        shares: Which policy draws whose slates.
        rules: What a slate is made of.
    """

    def __init__(self, models: Models, shares: Shares, rules: RecommendRules) -> None:
        self._models = models
        self._shares = shares
        self._rules = rules

    def __call__(self, profile: Profile, inbound: Inbound) -> Slate:
        """Decide the slate that answers an event which `profile` already contains."""
        event, origin = inbound
        rules = self._rules
        found = retrieve(self._models, query_of(profile, origin.time, rules))
        seed = seed_of(origin.topic, origin.partition, origin.offset)
        policy = self._shares.policy_of(event.key)
        choice = policy.choose(found.scores, rules.slots, seed)
        propensities = choice.propensities.tolist()
        ids = self._models.item_ids
        names = [ids[item] for item in found.items.tolist()]
        return Slate(
            slate_id=f"{origin.topic}-{origin.partition}-{origin.offset}",
            user_id=event.user_id,
            tenant=event.tenant,
            scenario=event.scenario,
            time=origin.time,
            trigger=Trigger(event.event_id, event.time, origin.topic, origin.partition, origin.offset),
            policy=policy.name,
            policy_version=policy.version,
            seed=seed,
            candidates=len(names),
            candidates_hash=candidates_hash(names),
            items=_slate_items(names, found, choice.indices, propensities),
            slate_propensity=math.prod(propensities, start=1.0) or None,
        )


def query_of(profile: Profile, now: int, rules: RecommendRules) -> Query:
    """What candidates this user is asked for at `now`, epoch milliseconds."""
    return Query(
        session=session_items(profile),
        history=older_items(profile),
        exclude=bought_since(profile, now - rules.exclude_bought_ms),
        now=now,
        size=rules.candidates,
        session_key=profile.session_key,
    )


def _slate_items(
    names: list[str], found: Candidates, indices: Ints, propensities: list[float]
) -> tuple[SlateItem, ...]:
    """The chosen candidates in slate order, each with the sources that spoke for it."""
    scores = found.scores[indices].tolist()
    shares = found.contributions[indices].tolist()
    # A source without a share in the score is left out; in C, since this happens ten times an event.
    return tuple(
        [
            SlateItem(
                names[index],
                position,
                score,
                propensity,
                tuple(map(Source, compress(SOURCES, row), filter(None, row))),
            )
            for position, (index, score, propensity, row) in enumerate(
                zip(indices.tolist(), scores, propensities, shares, strict=True), 1
            )
        ]
    )


def candidates_hash(item_ids: list[str]) -> str:
    """Hash a candidate list in its ranked order: 16 hex digits of blake2b over the ids and newlines."""
    return hashlib.blake2b("\n".join(item_ids).encode(), digest_size=8).hexdigest()
