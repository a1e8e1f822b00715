"""Estimators for one choice per decision: the textbook ones.

All take arrays over rows [n] as `state.evaluation.estimators.terms` names them. None of them can know what
the log never tried: support comes first (`state.evaluation.estimators.support`).
"""

from collections.abc import Callable, Iterable

import numpy as np

from state.evaluation.estimators.terms import Terms, mean_of
from state.retrieval.arrays import Doubles


def ips(rewards: Doubles, weights: Doubles) -> Terms:
    """Inverse propensity scoring: mean of w r.

    Assumes that A could choose all that B chooses, and that its propensities are true; then it is unbiased.
    Fails by variance, which grows with the largest weights: where B often does what A hardly ever did,
    one row decides.

    References:
        Horvitz, Thompson (1952), A generalization of sampling without replacement, JASA 47.
        Precup, Sutton, Singh (2000), Eligibility traces for off-policy policy evaluation, ICML.
    """
    _check(rewards, weights)
    return mean_of(weights * rewards, weights.reshape(-1, 1))


def snips(rewards: Doubles, weights: Doubles) -> Terms:
    """Self-normalised IPS: sum of w r / sum of w.

    Assumes what IPS does. Biased by about 1 / ESS, in exchange for an estimate that stays within the range of
    the rewards and does not move when all rewards do. Fails where little is left to normalise by: with one
    large weight it is that row's reward.

    References:
        Swaminathan, Joachims (2015), The self-normalized estimator for counterfactual learning, NIPS.
    """
    _check(rewards, weights)
    column = weights.reshape(-1, 1)
    return Terms(column * rewards.reshape(-1, 1), column, column)


def dm(expected: Doubles) -> Terms:
    """Direct method: mean of what the model expects under B, `expected` [n] = sum_a pi_B(a | x) q(x, a).

    Assumes that the model is right where B goes. Fails silently: its interval is narrow around a wrong value,
    and more data does not help. Needs no propensities and no support.

    References:
        Beygelzimer, Langford (2009), The offset tree for learning with partial labels, KDD.
    """
    _check(expected)
    return mean_of(expected)


def dr(rewards: Doubles, weights: Doubles, q: Doubles, expected: Doubles) -> Terms:
    """Doubly robust: mean of `expected` + w (r - q), with q [n] of what was chosen.

    Unbiased if the propensities are true, whatever the model; consistent if the model is right, whatever the
    propensities. The better the model, the less the weights matter. The model must not have seen the row's
    own reward (cross-fitting), or r - q is too small. Fails as IPS does where the residuals are large.

    References:
        Dudik, Langford, Li (2011), Doubly robust policy evaluation and learning, ICML.
    """
    _check(rewards, weights, q, expected)
    return mean_of(expected + weights * (rewards - q), weights.reshape(-1, 1))


def sndr(rewards: Doubles, weights: Doubles, q: Doubles, expected: Doubles) -> Terms:
    """Self-normalised DR: mean of `expected` + sum of w (r - q) / sum of w.

    As DR, with the correction kept within the range of the residuals, at a bias of about 1 / ESS.

    References:
        Thomas, Brunskill (2016), Data-efficient off-policy policy evaluation, ICML: weighted DR.
    """
    _check(rewards, weights, q, expected)
    column = weights.reshape(-1, 1)
    return Terms(
        np.column_stack([expected, weights * (rewards - q)]),
        np.column_stack([np.ones_like(weights), weights]),
        column,
    )


def switch_dr(rewards: Doubles, weights: Doubles, q: Doubles, expected: Doubles, *, tau: float) -> Terms:
    """Switch-DR: DR where w <= `tau`, the model alone where w is larger.

    Bounds the variance by tau; its bias is the model's error on the rows with larger weights. `tau` of 0 is
    DM, infinity is DR; `tuned` chooses.

    References:
        Wang, Agarwal, Dudik (2017), Optimal and adaptive off-policy evaluation in contextual bandits, ICML.
    """
    return dr(rewards, np.where(weights <= tau, weights, 0.0), q, expected)


def dr_os(rewards: Doubles, weights: Doubles, q: Doubles, expected: Doubles, *, shrinkage: float) -> Terms:
    """DR with optimistic shrinkage: DR with the weights lambda w / (w^2 + lambda), lambda = `shrinkage`.

    Weights below sqrt(lambda) hardly change, larger ones shrink, so it goes smoothly from DM (0) to DR
    (infinity). Its bias is the model's error times what was shrunk; `tuned` chooses.

    References:
        Su, Dimakopoulou, Krishnamurthy, Dudik (2020), Doubly robust off-policy evaluation with shrinkage,
        ICML, section 3.2.
    """
    return dr(rewards, shrunk(weights, shrinkage), q, expected)


def shrunk(weights: Doubles, shrinkage: float) -> Doubles:
    """Optimistically shrunk weights; see `dr_os`.

    Examples:
        >>> import numpy as np
        >>> shrunk(np.array([0.5, 1.0, 100.0]), 100.0).round(2).tolist()
        [0.5, 0.99, 0.99]
    """
    if not shrinkage > 0:
        return np.zeros_like(weights)
    return shrinkage * weights / (weights**2 + shrinkage)


def tuned(make: Callable[[float], Terms], choices: Iterable[float]) -> tuple[float, Terms]:
    """The choice of `tau` or `shrinkage` with the least estimated mean squared error, and its terms.

    The error is the variance of the mean plus the squared difference from the largest choice, the one that
    changes the weights least. That difference is bias and noise together, so it leans to the largest.

    Args:
        make: Gives the terms, one column over the same rows, for a choice.
        choices: At least one.

    References:
        Su, Dimakopoulou, Krishnamurthy, Dudik (2020), section 5: model selection.
    """
    found = [(choice, make(choice)) for choice in sorted(choices)]
    reference = found[-1][1].numerators[:, 0]
    rows = len(reference)

    def error(terms: Terms) -> float:
        values = terms.numerators[:, 0]
        return float((values - reference).mean()) ** 2 + float(values.var()) / rows

    return min(found, key=lambda pair: error(pair[1]))


def _check(*arrays: Doubles) -> None:
    if len({array.shape for array in arrays}) > 1 or arrays[0].ndim != 1 or not arrays[0].size:
        message = f"rows must be the same, one value each and at least one; got {[a.shape for a in arrays]}"
        raise ValueError(message)
    if not all(np.isfinite(array).all() for array in arrays):
        message = "rewards, weights and expected rewards must be finite"
        raise ValueError(message)
    if len(arrays) > 1 and (arrays[1] < 0).any():
        message = "a weight is a probability over a propensity, so at least 0"
        raise ValueError(message)
