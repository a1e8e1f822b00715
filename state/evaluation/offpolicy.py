"""What another policy would have earned on the logged slates, with intervals, or why that cannot be told.

Estimates hold for the decisions as they came: the same users at the same moments with the same candidates.
What the policy would change in the users' next sessions, and in the models that it teaches, is not seen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from state.evaluation.bootstrap import ROUNDS
from state.evaluation.confidence import Z95
from state.evaluation.decisions import Decisions
from state.evaluation.estimators.support import Support, support_of
from state.evaluation.estimators.terms import (
    Terms,
    bernstein_interval,
    bootstrap_interval,
    delta_interval,
    mean_of,
    variance,
)
from state.evaluation.evidence import Evidence, OffPolicyError
from state.retrieval.arrays import Doubles, Ints

Bootstrap: TypeAlias = Callable[[Terms, Ints], tuple[float, float] | None]

MAIN: Final = "dr"
"""The estimator to go by."""
POWER_Z: Final = 0.8416212335729143
"""Quantile of a standard normal number at 80 %, the power of an A/B test."""


class Estimate(Struct, frozen=True, kw_only=True):
    """What one estimator says of the policy, per slate."""

    value: float | None = None
    """None where it is refused."""
    ci95: tuple[float, float] | None = None
    """Delta method over users, Student's t; None with fewer than 30 users."""
    bootstrap_ci95: tuple[float, float] | None = None
    bernstein_ci95: tuple[float, float] | None = None
    """Of `ips` only: holds for any distribution with weights and rewards up to the largest in the log."""
    difference: float | None = None
    """To what the logged policies earned on the same slates."""
    difference_ci95: tuple[float, float] | None = None
    users_to_confirm: int | None = None
    """Users that each group of an A/B test needs to show this difference (`users_needed`)."""
    support: Support
    """Of the weights that it uses; of the slates' own where it uses none."""
    refused: str | None = None
    """Why there is no value."""


class Logged(Struct, frozen=True, kw_only=True):
    """What logged slates earned."""

    slates: int
    users: int
    value: float
    """Mean reward of a slate."""
    ci95: tuple[float, float] | None


class Judgement(Struct, frozen=True, kw_only=True):
    """A policy beside the logged ones, on the same slates."""

    logged: Logged
    arms: dict[str, Logged]
    """By policy and version, those that judge nobody too."""
    estimates: dict[str, Estimate]
    supported_positions: int
    """How many positions from the top `dr` can be told of."""


def judge(evidence: Evidence, *, rows: Ints | None = None, seed: int = 1, rounds: int = ROUNDS) -> Judgement:
    """Estimates with their intervals, or why there are none.

    Args:
        evidence: Of `gather`.
        rows: Slates of `evidence.decisions` to look at; all if not given.
        seed: Of the bootstrap.
        rounds: Of the bootstrap.
    """
    decisions = evidence.decisions
    chosen = np.arange(decisions.rows, dtype=np.int32) if rows is None else rows
    users = decisions.users[chosen]
    baseline = mean_of(decisions.rewards[chosen].sum(axis=1))
    rng = np.random.default_rng(seed)
    estimates = {}
    # Known policies explore, so nothing is out of their reach.
    whole = support_of(evidence.weights[chosen], unsupported=0.0 if evidence.balanced else None)
    for name, terms in evidence.terms.items():
        estimates[name] = _estimate(
            terms.taken(chosen), baseline, users, whole, partial(bootstrap_interval, rng=rng, rounds=rounds)
        )
    if (ips := estimates["ips"]).value is not None:
        bounds = _bernstein(evidence.terms["ips"].taken(chosen), decisions.rewards[chosen], users)
        estimates["ips"] = replace(ips, bernstein_ci95=bounds)
    return Judgement(
        logged=_logged(decisions.rewards[chosen], users),
        arms=_arms(evidence.everything if rows is None else decisions.taken(chosen)),
        estimates=estimates,
        supported_positions=_supported(evidence.weights[chosen], decisions.rewards.shape[1]),
    )


def groups(decisions: Decisions, by: str) -> Mapping[str, Ints]:
    """Rows by `scenario` or by `day` (UTC, as `YYYY-MM-DD`).

    Raises:
        OffPolicyError: By nothing that is known.
    """
    if by == "scenario":
        names: Sequence[str] = decisions.scenario_names
        numbers = decisions.scenarios
    elif by == "day":
        days = decisions.times.astype("datetime64[ms]").astype("datetime64[D]")
        found, inverse = np.unique(days, return_inverse=True)
        numbers = inverse.astype(np.int32)
        names = [str(day) for day in found]
    else:
        message = f"cannot divide by {by!r}: scenario and day are known"
        raise OffPolicyError(message)
    rows = {name: np.flatnonzero(numbers == i).astype(np.int32) for i, name in enumerate(names)}
    return {name: its for name, its in rows.items() if its.size}


def users_needed(variance_per_user: float, difference: float) -> int | None:
    """Users that each group of an A/B test needs to show this difference, two-sided 5 %, power 80 %.

    n = 2 V (z_0.975 + z_0.8)^2 / difference^2, with V the variance that one user adds to a group's mean
    reward per slate, taken to be that of the logged policies in both groups. None where there is no
    difference.

    References:
        van Belle (2008), Statistical rules of thumb, chapter 2.

    Examples:
        >>> users_needed(1.0, 0.1)
        1570
    """
    if difference == 0:
        return None
    return math.ceil(2.0 * variance_per_user * (Z95 + POWER_Z) ** 2 / difference**2)


def _estimate(terms: Terms, baseline: Terms, users: Ints, whole: Support, bootstrap: Bootstrap) -> Estimate:
    """One estimate; `whole` is the support of the slates' own weights.

    What a model or shrunk weights say where the log has no support is a guess, so they are refused with it.
    """
    support = whole
    if terms.weights.shape[1]:
        support = support_of(terms.weights, unsupported=whole.unsupported)
    reason = whole.refusal or support.refusal
    if reason is not None:
        return Estimate(support=support, refused=reason)
    value = terms.value
    if not math.isfinite(value):
        return Estimate(support=support, refused="no slate counts for it")
    apart = terms.minus(baseline)
    per_user = (variance(baseline, users) or 0.0) * len(np.unique(users))
    return Estimate(
        value=value,
        ci95=delta_interval(terms, users),
        bootstrap_ci95=bootstrap(terms, users),
        difference=apart.value,
        difference_ci95=delta_interval(apart, users),
        users_to_confirm=users_needed(per_user, apart.value),
        support=support,
    )


def _bernstein(terms: Terms, rewards: Doubles, users: Ints) -> tuple[float, float]:
    highest, lowest = max(0.0, float(rewards.max())), min(0.0, float(rewards.min()))
    scale = float(terms.weights.max()) * rewards.shape[1]
    return bernstein_interval(terms.numerators.sum(axis=1), users, lowest * scale, highest * scale)


def _logged(rewards: Doubles, users: Ints) -> Logged:
    terms = mean_of(rewards.sum(axis=1))
    return Logged(
        slates=len(users),
        users=len(np.unique(users)),
        value=terms.value,
        ci95=delta_interval(terms, users),
    )


def _arms(decisions: Decisions) -> dict[str, Logged]:
    found = {}
    for arm in np.unique(decisions.arms).tolist():
        its = decisions.arms == arm
        found[decisions.arm_names[arm]] = _logged(decisions.rewards[its], decisions.users[its])
    return found


def _supported(weights: Doubles, positions: int) -> int:
    """How many positions from the top have weights that are not refused."""
    for position in range(positions):
        if support_of(weights[:, position : position + 1]).refusal is not None:
            return position
    return positions
