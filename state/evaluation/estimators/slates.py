"""Estimators for slates: several items chosen one below the other, each with its own reward.

Arrays are [n, k] over slates and positions. `ratios` are pi_B / pi_A of each item given those above it;
beyond the end of a short slate the ratio is 1 and the reward 0. What is estimated is the mean of the slates'
summed rewards. They differ in what a reward may depend on:

    standard            on all items of the slate         weight: product of all ratios
    reward_interaction  on its item and those above it    weight: product of the ratios down to it
    independent         on its item and position only     weight: ratio of the item at its position alone

The fewer ratios are multiplied, the less variance; a wrong assumption is a bias that no interval shows.
"""

from typing import NamedTuple

import numpy as np

from state.evaluation.estimators.terms import Terms, mean_of
from state.retrieval.arrays import Doubles


class Model(NamedTuple):
    """What a reward model expects of slates; must not have learned from the slate's own rewards."""

    q: Doubles
    """[n, k] of the logged item at its position."""
    expected: Doubles
    """[n, k] of position k under B, given the logged items above it."""
    own: Doubles
    """[n, k] of position k under B, where B chose the items above it too; any guess keeps DR unbiased."""


def prefix_weights(ratios: Doubles) -> Doubles:
    """[n, k] products of the ratios down to each position, itself included."""
    products: Doubles = np.cumprod(ratios, axis=1, dtype=np.float64)
    return products


def standard(rewards: Doubles, ratios: Doubles) -> Terms:
    """Standard IPS: the whole slate is one choice.

    Assumes nothing on how shoppers look at slates. Fails by variance beyond a few positions: the weights are
    products of k ratios.

    References:
        Precup, Sutton, Singh (2000), Eligibility traces for off-policy policy evaluation, ICML.
    """
    _check(rewards, ratios)
    weights = prefix_weights(ratios)[:, -1]
    return mean_of(weights * rewards.sum(axis=1), weights.reshape(-1, 1))


def independent(rewards: Doubles, marginals: Doubles, *, normalised: bool = True) -> Terms:
    """Independent IPS: each position's reward weighted by how probable its item is at that position at all.

    Assumes that a reward depends on its item and position only. Then it has the least variance of the three.

    `marginals` [n, k] are ratios of probabilities over all that can stand above. Ratios given the items
    above are others, except at position 1 and where items may come twice: with them this asks what B would
    put below what A has put above, where A has often spent the best items, and is too high or too low by
    more with each position (docs/evaluation.md has the size of it). The marginals of most policies have no
    closed form; those of uniform logging are 1 / candidates.

    References:
        Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen (2018), Offline evaluation of ranking policies
        with click models, KDD.
    """
    _check(rewards, marginals)
    return _weighted(rewards, marginals, normalised=normalised)


def reward_interaction(rewards: Doubles, ratios: Doubles, *, normalised: bool = True) -> Terms:
    """Reward-interaction IPS (RIPS): each reward weighted by all ratios down to its position.

    Assumes a cascade: shoppers look from the top down, and a reward depends on its item and those above, not
    on those below. Then it is unbiased, up to about 1 / ESS where self-normalised (per position). Fails by
    variance at low positions.

    References:
        McInerney, Brost, Chandar, Mehrotra, Carterette (2020), Counterfactual evaluation of slate
        recommendations with sequential reward interactions, KDD.
    """
    _check(rewards, ratios)
    return _weighted(rewards, prefix_weights(ratios), normalised=normalised)


def cascade_dr(rewards: Doubles, weights: Doubles, model: Model) -> Terms:
    """Cascade doubly robust: RIPS with a model as control variate, position by position.

    With w_k the prefix weight of position k and w_0 = 1,

        V = mean of sum_k own_k + w_{k-1} (expected_k - own_k) + w_k (r_k - q_k)

    Assumes a cascade as RIPS does, and is unbiased whatever the model. Fails as RIPS does where the model
    explains little.

    Args:
        rewards: [n, k]
        weights: [n, k] of `prefix_weights`, or shrunk or cut ones as in DRos and Switch-DR, at their bias.
        model: What to expect.

    References:
        Kiyohara, Saito, Matsuhiro, Narita, Shimizu, Yamamoto (2022), Doubly robust off-policy evaluation for
        ranking policies under the cascade behavior model, WSDM.
    """
    _check(rewards, weights)
    above = np.hstack([np.ones((len(weights), 1)), weights[:, :-1]])
    terms = model.own + above * (model.expected - model.own) + weights * (rewards - model.q)
    return mean_of(terms.sum(axis=1), weights)


def direct(model: Model) -> Terms:
    """Direct method for slates: mean of what the model expects of B's own slates; see `single.dm`."""
    return mean_of(model.own.sum(axis=1))


def _weighted(rewards: Doubles, weights: Doubles, *, normalised: bool) -> Terms:
    return Terms(weights * rewards, weights if normalised else np.ones_like(weights), weights)


def _check(rewards: Doubles, ratios: Doubles) -> None:
    if rewards.shape != ratios.shape or rewards.ndim != 2 or not rewards.size:
        message = f"rewards and ratios must be [slates, positions]; got {rewards.shape} and {ratios.shape}"
        raise ValueError(message)
    if not (np.isfinite(rewards).all() and np.isfinite(ratios).all() and (ratios >= 0).all()):
        message = "rewards must be finite, and ratios finite and at least 0"
        raise ValueError(message)
