"""Whether the log can answer at all: weights' tail, effective sample size, and what A never tried."""

from typing import Final

import numpy as np
from msgspec import Struct

from state.retrieval.arrays import Doubles

MIN_ESS: Final = 50.0
"""Effective sample size below which an estimate is refused."""
MAX_UNSUPPORTED: Final = 0.05
"""Share of B's choices outside A's reach above which an estimate is refused."""
TOP_SHARE: Final = 0.01


class Support(Struct, frozen=True):
    """What an estimate rests on; of the worst position, where there are several."""

    ess: float
    """Effective sample size (sum w)^2 / sum w^2: about as many rows as B's own log would need."""
    largest: float
    """The largest weight."""
    top_share: float
    """Share of all weight in the top 1 % of the rows; 0.01 where all weigh the same."""
    mean_weight: float
    """1 where A can choose all that B chooses; short of it by B's mass outside A's reach."""
    unsupported: float
    """B's mass outside A's reach that is certain: what `mean_weight` is short of 1 by more than three
    standard errors, or the exact share where A's probabilities are known."""

    @property
    def refusal(self) -> str | None:
        """Why an estimate on these weights is not to be printed; None where it may be."""
        if not self.largest:
            return (
                f"effective sample size 0 (at least {MIN_ESS:.0f}): it would show none of the logged slates"
            )
        if self.ess < MIN_ESS:
            return (
                f"effective sample size {self.ess:.1f} (at least {MIN_ESS:.0f}): the largest weight is"
                f" {self.largest:,.0f}, and a few slates would decide"
            )
        if self.unsupported > MAX_UNSUPPORTED:
            return (
                f"{self.unsupported:.0%} of what the policy would choose is out of the logged one's reach"
                f" (at most {MAX_UNSUPPORTED:.0%}): nothing is known of its rewards"
            )
        return None


def support_of(weights: Doubles, *, unsupported: float | None = None) -> Support:
    """What estimates on `weights` [n, k] rest on, at the worst position.

    Args:
        weights: Importance weights, at least 0; no row or no column rests on nothing.
        unsupported: Exact share of B's mass outside A's reach, where it is known (`unsupported_share`).

    References:
        Kong (1992), A note on importance sampling using standardized weights: effective sample size.
    """
    if not weights.size:
        return Support(0.0, 0.0, 0.0, 0.0, 1.0 if unsupported is None else unsupported)
    each = [_column(column) for column in weights.T]
    missing = max(one.unsupported for one in each) if unsupported is None else unsupported
    worst = min(each, key=lambda one: one.ess)
    return Support(worst.ess, worst.largest, worst.top_share, worst.mean_weight, missing)


def _column(weights: Doubles) -> Support:
    rows, total = len(weights), float(weights.sum())
    if total <= 0:
        return Support(0.0, 0.0, 0.0, 0.0, 1.0)
    mean = total / rows
    error = float(weights.std()) / np.sqrt(rows)
    top = np.sort(weights)[-max(1, round(TOP_SHARE * rows)) :]
    return Support(
        total**2 / float(weights @ weights),
        float(weights.max()),
        float(top.sum()) / total,
        mean,
        max(0.0, 1.0 - mean - 3.0 * float(error)),
    )


def unsupported_share(policy: Doubles, logging: Doubles) -> float:
    """Share of B's probability on choices that A gives none; both [n, choices], rows sum to 1.

    Examples:
        >>> import numpy as np
        >>> unsupported_share(np.array([[0.2, 0.8]]), np.array([[1.0, 0.0]]))
        0.8
    """
    return float(np.where(logging > 0, 0.0, policy).sum() / len(policy))
