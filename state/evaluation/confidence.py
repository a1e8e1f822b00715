"""How much better one group of users did than another, and how sure that is.

Users are what a policy is given to by lot, so users are what varies. A user's slates, clicks and sessions are
like each other: intervals that take each of them for a draw of its own (binomial ones) are too narrow. A
metric such as clicks per slate is a ratio of two sums over users, and its variance comes from the delta
method. The interval of a lift is made on the logarithm of the two groups' quotient, which is closer to normal
than the quotient itself, and so never reaches below -100 %.

Money is heavy-tailed: a few users make up most of the variance, which is then known badly itself. Student's
t with degrees of freedom from the kurtosis makes up for it.

An interval is right for one look at a fixed time. Who looks all the time and stops at the first that
excludes 0 finds a difference that is not there far more often than 5 times in 100.

Sources: Satterthwaite (1946), An approximate distribution of estimates of variance components, Biometrics
Bulletin 2; Deng, Knoblich, Lu (2018), Applying the delta method in metric analytics, KDD, sections 2 and 3;
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
    freedom: float = math.inf
    """Degrees of freedom of the variance, from 2: few where a few users make up most of it."""

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The 95 % interval of the value; None where it cannot be told."""
        if self.value is None or self.variance is None:
            return None
        half = student95(self.freedom) * math.sqrt(self.variance)
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
        (0.1875, 60, [0.161, 0.214])
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
    squares = ((numerators - value * denominators) ** 2)[counted]
    variance = users / (users - 1) * float(squares.sum()) / total**2
    return Ratio(value, variance, users, freedom_of(squares, users))


def student95(freedom: float) -> float:
    """The 0.975 quantile of Student's t, within 1 % from 3 degrees of freedom on and 3 % at 2.

    Cornish and Fisher's expansion, Abramowitz and Stegun (1964) 26.7.5.

    Examples:
        >>> [round(student95(freedom), 2) for freedom in (4, 10, math.inf)]
        [2.77, 2.23, 1.96]
    """
    z, n = Z95, freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


def freedom_of(squares: NDArray[np.float64], users: int) -> float:
    """Degrees of freedom of a variance whose squared residuals these are, from their kurtosis.

    A variance s^2 of n draws with excess kurtosis k has itself the variance s^4 (2 / (n - 1) + k / n), which
    is that of a scaled chi-square with 2 / (2 / (n - 1) + k / n) degrees of freedom (Satterthwaite 1946).
    """
    mean = float(squares.sum()) / users
    if mean <= 0:
        return math.inf
    excess = max(0.0, float(squares @ squares) / users / mean**2 - 3.0)
    return max(2.0, 2.0 / (2.0 / (users - 1) + excess / users))


def compare(learned: Ratio, random: Ratio) -> Comparison:
    """Set two groups side by side.

    With R and v a group's ratio and its variance,

        log(1 + lift) = log(R_learned / R_random) +- t sqrt(sum over both groups of v / R^2)

    with t of Student's distribution, 1.96 where no few users make up most of v; Welch and Satterthwaite's
    degrees of freedom.
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
    square = shares = 0.0
    for group in (learned, random):
        if group.value is None or group.variance is None or group.value <= 0:
            return None
        part = group.variance / group.value**2
        square += part
        shares += part**2 / group.freedom
    middle = math.log((learned.value or 0.0) / (random.value or 1.0))
    half = student95(square**2 / shares if shares else math.inf) * math.sqrt(square)
    return math.expm1(middle - half), math.expm1(middle + half)
