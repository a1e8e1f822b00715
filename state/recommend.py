"""From a profile to a slate: retrieve candidates, choose with known probabilities, log the decision."""

import hashlib
from typing import Final

import numpy as np
from msgspec import Struct

from state.event import Inbound
from state.models import Models
from state.policy.base import Choice, Policy
from state.profile import Profile
from state.retrieval.arrays import Ints
from state.retrieval.blend import SOURCES, Candidates, Query, retrieve
from state.seeds import seed_of
from state.session import bought_since, older_items, session_items
from state.slate import Slate, SlateItem, Source, Trigger

_POSITIONS: Final = range(1, 1 << 20)
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
    """Decides slates from the shared models; calling one is `state.step.Decide`."""

    def __init__(self, models: Models, policy: Policy, rules: RecommendRules) -> None:
        self._models = models
        self._policy = policy
        self._rules = rules

    def __call__(self, profile: Profile, inbound: Inbound) -> Slate:
        """Decide the slate that answers an event which `profile` already contains."""
        event, origin = inbound
        rules = self._rules
        found = retrieve(self._models, self._query(profile, origin.time))
        seed = seed_of(origin.topic, origin.partition, origin.offset)
        choice = self._policy.choose(found.scores, rules.slots, seed)
        whole = float(np.prod(choice.propensities, dtype=np.float64))
        return Slate(
            slate_id=f"{origin.topic}-{origin.partition}-{origin.offset}",
            user_id=event.user_id,
            tenant=event.tenant,
            scenario=event.scenario,
            time=origin.time,
            trigger=Trigger(event.event_id, event.time, origin.topic, origin.partition, origin.offset),
            policy=self._policy.name,
            policy_version=self._policy.version,
            seed=seed,
            candidates=len(found.items),
            candidates_hash=candidates_hash(self._names(found.items)),
            items=self._items(found, choice),
            slate_propensity=whole or None,
        )

    def _query(self, profile: Profile, now: int) -> Query:
        return Query(
            session=session_items(profile),
            history=older_items(profile),
            exclude=bought_since(profile, now - self._rules.exclude_bought_ms),
            now=now,
            size=self._rules.candidates,
            session_key=profile.session_key,
        )

    def _names(self, dense: Ints) -> list[str]:
        ids = self._models.item_ids
        return [ids[item] for item in dense.tolist()]

    def _items(self, found: Candidates, choice: Choice) -> tuple[SlateItem, ...]:
        """Name the chosen candidates and say where they came from."""
        names = self._names(found.items[choice.indices])
        scores = found.scores[choice.indices].tolist()
        shares = found.contributions[choice.indices].tolist()
        propensities = choice.propensities.tolist()
        return tuple(
            [
                SlateItem(name, position, score, propensity, _sources(row))
                for name, position, score, propensity, row in zip(
                    names, _POSITIONS, scores, propensities, shares, strict=False
                )
            ]
        )


def _sources(shares: list[float]) -> tuple[Source, ...]:
    return tuple([Source(name, share) for name, share in zip(SOURCES, shares, strict=True) if share > 0])


def candidates_hash(item_ids: list[str]) -> str:
    """Hash a candidate list in its ranked order: 16 hex digits of blake2b over the ids and newlines."""
    return hashlib.blake2b("\n".join(item_ids).encode(), digest_size=8).hexdigest()
