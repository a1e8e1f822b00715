"""From sums to a belief: ridge regression by type with a prior, and how sure it is."""

from typing import Final, NamedTuple

import numpy as np

from state.policy.context import CONTEXT, CONTEXT_SIZE, FULL
from state.posterior.beliefs import PRIOR_SD, Belief
from state.posterior.sums import TYPES, Sums
from state.retrieval.arrays import Doubles

RIDGE: Final = 10.0
"""How many exposures the prior is worth, in each direction: lambda."""
PRIOR_VARIANCE: Final = RIDGE * PRIOR_SD**2
"""Of an exposure's reward, before anything is known; so that the covariance begins as that of `PRIOR`."""

_BIAS, _BLEND = CONTEXT.index("bias"), CONTEXT.index("blend")


class Weighed(NamedTuple):
    """Sums over time, in units of x = bytes / 255; F is the share of a type that has arrived."""

    outer: Doubles
    """[d, d] of w x x^T."""
    arrived: Doubles
    """[types, d, d] of w F x x^T."""
    shown: Doubles
    """[d] of w x."""
    exposures: float
    answered: Doubles
    """[types] of w F over exposures."""
    earned: Doubles
    """[types, d] of w r x over the rewards that have arrived."""
    squares: Doubles
    """[types] of w r^2."""


def weigh(sums: Sums, weights: Doubles, shares: Doubles) -> Weighed:
    """Sum up.

    Args:
        sums: [n, ...] of n times.
        weights: [n] w.
        shares: [types, n] F.
    """
    outer = sums.outer + np.tril(sums.outer, -1).transpose(0, 2, 1)
    both = weights * shares
    return Weighed(
        outer=np.einsum("n,njk->jk", weights, outer) / FULL**2,
        arrived=(both @ outer.reshape(len(outer), -1)).reshape(TYPES, CONTEXT_SIZE, CONTEXT_SIZE) / FULL**2,
        shown=weights @ sums.shown / FULL,
        exposures=float(weights @ sums.exposures),
        answered=both @ sums.exposures,
        earned=np.einsum("n,ntj->tj", weights, sums.earned) / FULL,
        squares=weights @ sums.squares,
    )


def solve(sums: Weighed) -> Belief:
    """The belief that sums lead to.

    For each type t, with A_t = sum w F_t x x^T, b_t = sum w r x, n_t = sum w F_t, and T types:

        mean_t = (A_t + lambda I)^-1 (b_t + lambda rho_t e),   e: 1 for the blend, 0 elsewhere
        rho_t  = (sum w r + lambda / T) / (sum w F_t x_blend + lambda), at least 0
        cov_t  = s2_t (A_t + lambda I)^-1,   s2_t = (sum w r^2 + lambda s0 / T) / (n_t + lambda)

    and the belief is the sum of both over the types. The prior says that the blend's order is right; rho
    makes its size that of what was earned, so that directions which no exposure has explored promise no more
    than the others earn. With no data this is `PRIOR`. s2 is the second moment of a type's reward, so at
    least its variance; slow types have small A_t, and make the belief less sure.
    """
    rho = np.maximum(0.0, (sums.earned[:, _BIAS] + RIDGE / TYPES) / (sums.arrived[:, _BIAS, _BLEND] + RIDGE))
    target = sums.earned.copy()
    target[:, _BLEND] += RIDGE * rho
    inverse = np.linalg.inv(sums.arrived + RIDGE * np.eye(CONTEXT_SIZE))
    mean = np.einsum("tjk,tk->j", inverse, target)
    s2 = (sums.squares + RIDGE * PRIOR_VARIANCE / TYPES) / (sums.answered + RIDGE)
    covariance = np.einsum("t,tjk->jk", s2, inverse)
    return Belief(
        mean=mean.astype(np.float32),
        root=np.linalg.cholesky((covariance + covariance.T) / 2).astype(np.float32),
        shown=sums.shown.astype(np.float32),
        earned=(sums.outer @ mean).astype(np.float32),
        count=sums.exposures,
    )
