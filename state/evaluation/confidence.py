"""How much better one group of users did than another, and how sure that is.

Users are what a policy is given to by lot, so users are what varies. A user's slates, clicks and sessions are
like each other: intervals that take each of them for a draw of its own (binomial ones) are too narrow. A
metric such as clicks per slate is a ratio of two sums over users, and its variance comes from the delta
method. The interval of a lift is made on the logarithm of the two groups' quotient, which is closer to normal
than the quotient itself, and so never reaches below -100 %.

An interval is right for one look at a fixed time. Who looks all the time and stops at the first that
excludes 0 finds a difference that is not there far more often than 5 times in 100.

Sources: Deng, Knoblich, Lu (2018), Applying the delta method in metric analytics, KDD, sections 2 and 3;
Katz, Baptista, Azen, Pike (1978), Obtaining confidence intervals for the risk ratio, Biometrics 34.
"""

import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Z95: Final = 1.959963984540054
"""A standard normal number is within it of 0 with probability 0.95."""
MIN_USERS: Final = 30
"""Users that a group needs: with fewer, sums are not near enough to normal."""
MIN_SUCCESSES: Final = 10
"""Users with a numerator above 0 that a group needs, for the same reason where most have none."""


class Ratio(Struct, frozen=True):
    """A metric of one group: a sum over users divided by another."""

    value: float | None
    """None where the denominators sum to 0."""
    variance: float | None
    """Of the value; None where there are too few users to tell."""
    users: int

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The 95 % interval of the value; None where it cannot be told."""
        if self.value is None or self.variance is None:
            return None
        half = Z95 * math.sqrt(self.variance)
        return self.value - half, self.value + half


class Comparison(Struct, frozen=True, kw_only=True):
    """A metric of two groups of users."""

    learned: float | None = None
    random: float | None = None
    lift: float | None = None
    """learned / random - 1: 0.25 is a quarter more. None where the random group has no positive value."""
    lift_ci95: tuple[float, float] | None = None
    """95 % interval of the lift: above 0, learned is better. None where there is too little to tell."""
    learned_ci95: tuple[float, float] | None = None
    random_ci95: tuple[float, float] | None = None
    learned_users: int = 0
    """Users whose numerators or denominators count."""
    random_users: int = 0


def ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> Ratio:
    """The ratio of two sums over users and its variance, by the delta method.

    With R the ratio of the sums over n users, and d the denominators' sum,

        var(R) = n / (n - 1) * sum_i (numerator_i - R denominator_i)^2 / d^2

    Args:
        numerators: [n] a user's, such as clicks or money.
        denominators: [n] the same user's, such as slates or sessions; not negative. Users for whom both are 0
            do not count.

    Examples:
        >>> import numpy as np
        >>> clicks, slates = np.tile([0.0, 1.0, 2.0], 20), np.tile([4.0, 4.0, 8.0], 20)
        >>> found = ratio(clicks, slates)
        >>> found.value, found.users, [round(bound, 3) for bound in found.ci95]
        (0.1875, 60, [0.162, 0.213])
    """
    counted = (numerators != 0) | (denominators != 0)
    users = int(np.count_nonzero(counted))
    total = float(denominators.sum())
    if total <= 0:
        return Ratio(None, None, users)
    value = float(numerators.sum()) / total
    if users < MIN_USERS or np.count_nonzero(numerators > 0) < MIN_SUCCESSES:
        return Ratio(value, None, users)
    # Users for whom both are 0 add nothing to the sum.
    residuals = numerators - value * denominators
    return Ratio(value, users / (users - 1) * float(residuals @ residuals) / total**2, users)


def compare(learned: Ratio, random: Ratio) -> Comparison:
    """Set two groups side by side.

    With R and v a group's ratio and its variance,

        log(1 + lift) = log(R_learned / R_random) +- 1.96 sqrt(sum over both groups of v / R^2)
    """
    lift = None
    if learned.value is not None and random.value is not None and random.value > 0:
        lift = learned.value / random.value - 1.0
    return Comparison(
        learned=learned.value,
        random=random.value,
        lift=lift,
        lift_ci95=_lift_ci95(learned, random),
        learned_ci95=learned.ci95,
        random_ci95=random.ci95,
        learned_users=learned.users,
        random_users=random.users,
    )


def _lift_ci95(learned: Ratio, random: Ratio) -> tuple[float, float] | None:
    square = 0.0
    for group in (learned, random):
        if group.value is None or group.variance is None or group.value <= 0:
            return None
        square += group.variance / group.value**2
    middle = math.log((learned.value or 0.0) / (random.value or 1.0))
    half = Z95 * math.sqrt(square)
    return math.expm1(middle - half), math.expm1(middle + half)
