"""What a learning policy is told of the value of an exposure; a frozen value, replaced as a whole.

The expected reward of showing an item is linear in its context (`state.policy.context`): `mean @ x`, where x
is the context's bytes over 255. How it is learned: `state.posterior.posterior`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from state.policy.context import CONTEXT, CONTEXT_SIZE
from state.retrieval.arrays import Floats

ALL: Final = ""
"""Name of all scenarios together."""
PRIOR_SD: Final = 0.1
"""Standard deviation of each weight before anything is known."""


class Belief(NamedTuple):
    """What is believed of the value of a context, for one scenario."""

    mean: Floats
    """[CONTEXT_SIZE] expected reward of an exposure is `mean @ x`."""
    root: Floats
    """[CONTEXT_SIZE, CONTEXT_SIZE] `root @ root.T` is the covariance of the weights."""
    shown: Floats
    """[CONTEXT_SIZE] sum of x over exposures, discounted."""
    earned: Floats
    """[CONTEXT_SIZE] sum of reward times x, discounted and corrected for delay."""
    count: float  # type: ignore[assignment]  # nobody counts the values of a belief
    """Exposures behind it, discounted."""


class Beliefs(NamedTuple):
    """What is believed, by scenario."""

    version: int
    """Counts up with what has matured: equal versions have learned from the same time buckets. 0: nothing is
    known yet."""
    by_scenario: Mapping[str, Belief]
    """`ALL` is always there, and is to be used for a scenario that is not: it has too few exposures."""


def prior() -> Belief:
    """The belief before anything is known: an exposure is worth the blend's score, so its order stands."""
    mean = np.zeros(CONTEXT_SIZE, np.float32)
    mean[CONTEXT.index("blend")] = 1.0
    root = np.eye(CONTEXT_SIZE, dtype=np.float32) * np.float32(PRIOR_SD)
    nothing = np.zeros(CONTEXT_SIZE, np.float32)
    return Belief(mean, root, nothing, nothing, 0.0)


PRIOR: Final = Beliefs(0, MappingProxyType({ALL: prior()}))
