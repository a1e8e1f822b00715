"""Linear Thompson sampling over slates, by an ensemble, so that propensities are exact."""

from typing import Final

import numpy as np

from state.policy.base import version_of
from state.policy.committee import Committee, CommitteePolicy
from state.policy.context import CONTEXT_SIZE
from state.policy.draws import normals, seed_named
from state.policy.learning import Known

MOST_MEMBERS: Final = 1024


class LinearTS(CommitteePolicy):
    r"""A candidate is taken as often as it is probable to be best, by one linear model of the reward.

    The belief of the coefficients is normal with mean mu and covariance R R'. At each version of the beliefs
    M vectors are drawn once, in every worker the same:

        theta_j = mu + R z_j        z_j standard normal, from the hash of version, scenario and parameters

    They are a committee (`state.policy.committee`): at each position one of them is drawn and the candidate
    that it likes best of those left is taken, or, with probability epsilon, any of those left.

        P(i | above) = epsilon / m + (1 - epsilon) #{j: i is the best left by theta_j} / M

    This is exact for what is done. True Thompson sampling would draw theta anew at each position and take i
    with P*(i | above); #{j} / M is the mean of M independent draws with that probability, so

        |#{j} / M - P*| <= sqrt(log(2 / delta) / (2 M))   with probability 1 - delta   (Hoeffding)

    which is 0.24 for M = 32 and delta = 0.05, and its expectation over versions is P*.

    Args:
        epsilon: In [1e-6, 1], the support of what no member likes best.
        members: M, in [1, 1024]; each costs some 1 / 32 of the draw.

    Raises:
        ValueError: A parameter is out of range.

    References:
        Agrawal, Goyal (2013), Thompson sampling for contextual bandits with linear payoffs, ICML.
        Lu, Van Roy (2017), Ensemble sampling, NeurIPS.
        Hoeffding (1963), Probability inequalities for sums of bounded random variables, JASA 58.
    """

    name: Final = "linear_ts"

    def __init__(self, *, epsilon: float = 0.02, members: int = 32) -> None:
        super().__init__(epsilon=epsilon)
        if not 1 <= members <= MOST_MEMBERS:
            message = f"members must be a whole number in [1, {MOST_MEMBERS}]; got {members!r}"
            raise ValueError(message)
        self.members: Final = members
        self.version: Final = version_of(self.name, 1, epsilon=epsilon, members=members)

    def appoint(self, known: Known) -> Committee:
        """Draw the members; see `CommitteePolicy.appoint`."""
        seed = seed_named(f"{self.version}/{known.version}/{known.scenario}")
        drawn = normals(seed, CONTEXT_SIZE * self.members).reshape(CONTEXT_SIZE, self.members)
        vectors = known.belief.mean[:, np.newaxis] + known.belief.root @ drawn
        return Committee(vectors.astype(np.float32), np.full(self.members, 1.0 / self.members))
