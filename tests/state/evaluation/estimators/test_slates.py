import itertools

import numpy as np
import pytest

from state.evaluation.estimators.slates import (
    Model,
    cascade_dr,
    direct,
    independent,
    prefix_weights,
    reward_interaction,
    standard,
)

REWARDS = np.array([[1.0, 0.0], [0.0, 1.0]])
RATIOS = np.array([[2.0, 0.5], [0.5, 3.0]])


def test_prefix_weights_are_products_from_the_top() -> None:
    assert prefix_weights(RATIOS).tolist() == [[2.0, 1.0], [0.5, 1.5]]


def test_each_estimator_is_its_formula() -> None:
    assert standard(REWARDS, RATIOS).value == pytest.approx((1.0 * 1 + 1.5 * 1) / 2)
    assert reward_interaction(REWARDS, RATIOS, normalised=False).value == pytest.approx((2 + 1.5) / 2)
    assert reward_interaction(REWARDS, RATIOS).value == pytest.approx(2 / 2.5 + 1.5 / 2.5)
    assert independent(REWARDS, RATIOS, normalised=False).value == pytest.approx((2 + 3) / 2)
    assert independent(REWARDS, RATIOS).value == pytest.approx(2 / 2.5 + 3 / 3.5)


def test_a_model_of_nothing_makes_cascade_dr_the_reward_interaction_estimate() -> None:
    nothing = np.zeros((2, 2))
    found = cascade_dr(REWARDS, prefix_weights(RATIOS), Model(nothing, nothing, nothing))
    assert found.value == reward_interaction(REWARDS, RATIOS, normalised=False).value
    assert direct(Model(nothing, nothing, REWARDS)).value == 1.0


@pytest.mark.parametrize("estimator", [standard, independent, reward_interaction])
def test_what_is_no_log_is_refused(estimator) -> None:
    with pytest.raises(ValueError, match=r"must be \[slates, positions\]"):
        estimator(REWARDS, RATIOS[:, :1])
    with pytest.raises(ValueError, match="at least 0"):
        estimator(REWARDS, -RATIOS)
    with pytest.raises(ValueError, match="finite"):
        estimator(REWARDS * np.nan, RATIOS)


class Enumerated:
    """Slates of 2 out of 3 items, drawn by weight without replacement; every slate and its probability."""

    logging = np.array([0.5, 0.3, 0.2])
    policy = np.array([0.1, 0.3, 0.6])
    slates = tuple(itertools.permutations(range(3), 2))

    def steps(self, weights: np.ndarray, slate: tuple[int, int]) -> list[float]:
        first, second = slate
        return [weights[first] / weights.sum(), weights[second] / (weights.sum() - weights[first])]

    def mean(self, rewards, estimate) -> float:
        """Exact mean of an estimator over the logging policy's slates."""
        total = 0.0
        for slate in self.slates:
            logged, judged = self.steps(self.logging, slate), self.steps(self.policy, slate)
            ratios = np.array([[b / a for a, b in zip(logged, judged, strict=True)]])
            total += float(np.prod(logged)) * estimate(np.array([rewards(slate)]), ratios, slate).value
        return total

    def truth(self, rewards) -> float:
        return sum(float(np.prod(self.steps(self.policy, s))) * sum(rewards(s)) for s in self.slates)


WORTH = (0.9, 0.5, 0.1)


def own(slate: tuple[int, int]) -> list[float]:
    return [WORTH[slate[0]], WORTH[slate[1]]]


def cascade(slate: tuple[int, int]) -> list[float]:
    return [WORTH[slate[0]], WORTH[slate[1]] * (1 - WORTH[slate[0]])]


def whole(slate: tuple[int, int]) -> list[float]:
    return [WORTH[slate[0]] * (1 - WORTH[slate[1]]), WORTH[slate[1]] * (1 - WORTH[slate[0]])]


@pytest.mark.parametrize("rewards", [own, cascade, whole])
def test_standard_ips_is_unbiased_whatever_rewards_depend_on(rewards) -> None:
    world = Enumerated()
    found = world.mean(rewards, lambda r, ratios, _: standard(r, ratios))
    assert found == pytest.approx(world.truth(rewards))


@pytest.mark.parametrize(("rewards", "is_right"), [(own, True), (cascade, True), (whole, False)])
def test_reward_interaction_is_unbiased_under_a_cascade_only(rewards, is_right: bool) -> None:
    world = Enumerated()
    found = world.mean(rewards, lambda r, ratios, _: reward_interaction(r, ratios, normalised=False))
    assert (abs(found - world.truth(rewards)) < 1e-12) == is_right


@pytest.mark.parametrize(("rewards", "is_right"), [(own, True), (cascade, False)])
def test_independent_is_unbiased_where_marginals_are_given_and_positions_are_apart(
    rewards, is_right: bool
) -> None:
    world = Enumerated()

    def marginal(weights: np.ndarray, at: int, item: int) -> float:
        return sum(float(np.prod(world.steps(weights, s))) for s in world.slates if s[at] == item)

    def estimate(r, ratios, slate):
        given = [
            marginal(world.policy, at, item) / marginal(world.logging, at, item)
            for at, item in enumerate(slate)
        ]
        return independent(r, np.array([given]), normalised=False)

    found = world.mean(rewards, estimate)
    assert (abs(found - world.truth(rewards)) < 1e-12) == is_right


def test_independent_with_ratios_given_the_items_above_is_biased_by_what_stands_above() -> None:
    world = Enumerated()
    found = world.mean(own, lambda r, ratios, _: independent(r, ratios, normalised=False))
    assert abs(found - world.truth(own)) > 0.01


@pytest.mark.parametrize("worth", [WORTH, (0.0, 2.0, -1.0)], ids=["right", "wrong"])
def test_cascade_dr_is_unbiased_whatever_the_model_expects(worth: tuple[float, float, float]) -> None:
    world = Enumerated()

    def estimate(r, ratios, slate):
        weights = world.policy.copy()
        first = (weights * worth).sum() / weights.sum()
        weights[slate[0]] = 0.0
        second = (weights * worth).sum() / weights.sum()
        model = Model(
            np.array([[worth[slate[0]], worth[slate[1]]]]),
            np.array([[first, second]]),
            np.array([[0.3, -0.7]]),
        )
        model.own[0, 0] = first
        return cascade_dr(r, prefix_weights(ratios), model)

    assert world.mean(cascade, estimate) == pytest.approx(world.truth(cascade))
