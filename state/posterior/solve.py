"""From sums to a belief: ridge regression with a prior, and how sure it is."""

from typing import Final

import numpy as np

from state.policy.context import CONTEXT, CONTEXT_SIZE, FULL
from state.posterior.beliefs import PRIOR_SD, Belief
from state.posterior.sums import Sums
from state.retrieval.arrays import Doubles

RIDGE: Final = 10.0
"""How many exposures the prior is worth, in each direction: lambda."""
PRIOR_VARIANCE: Final = RIDGE * PRIOR_SD**2
"""Of an exposure's reward, before anything is known; so that the covariance begins as that of `PRIOR`."""
LEAST_SCALE: Final = 1e-3
"""Of the prior's mean: where nothing is earned, or less than taken back, its order still stands."""

_BIAS, _BLEND = CONTEXT.index("bias"), CONTEXT.index("blend")


def solve(sums: Sums, share: Doubles) -> Belief:
    """The belief that sums of one row lead to.

    With A = sum x x^T, b = sum over types of (sum r x) / F, n exposures and rho = (sum r / F + lambda) /
    (sum x_blend + lambda):

        mean       = (A + lambda I)^-1 (b + lambda mu0),    mu0 = rho on the blend's weight, 0 elsewhere
        covariance = s2 (A + lambda I)^-1,                  s2 = (sum r^2 / F^2 + lambda s0) / (n + lambda)

    The prior says that the blend's order is right; rho makes its size that of what was earned, so that
    directions which no exposure has explored promise no more than the others earn. s2 is the second moment of
    the corrected reward, so at least its variance: where F is small, rewards are rare and heavy, and the
    belief less sure.

    Args:
        sums: without their first axis.
        share: [types] F, that arrives within maturity, above 0.
    """
    a = (np.tril(sums.outer) + np.tril(sums.outer, -1).T) / FULL**2
    b = (sums.earned / share[:, None]).sum(axis=0) / FULL
    shown, n = sums.shown / FULL, float(sums.exposures)
    mu0 = np.zeros(CONTEXT_SIZE)
    mu0[_BLEND] = max(LEAST_SCALE, (b[_BIAS] + RIDGE) / (shown[_BLEND] + RIDGE))
    s2 = (float((sums.squares / share**2).sum()) + RIDGE * PRIOR_VARIANCE) / (n + RIDGE)
    precision = a + RIDGE * np.eye(CONTEXT_SIZE)
    mean = np.linalg.solve(precision, b + RIDGE * mu0)
    # precision = L L^T, so its inverse is (L^-T)(L^-T)^T.
    root = np.sqrt(s2) * np.linalg.inv(np.linalg.cholesky(precision)).T
    single = np.float32
    return Belief(mean.astype(single), root.astype(single), shown.astype(single), b.astype(single), n)
