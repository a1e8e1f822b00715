import numpy as np
import pytest

from state.evaluation.estimators.support import support_of, unsupported_share


def column(*weights: float) -> np.ndarray:
    return np.array(weights).reshape(-1, 1)


def test_equal_weights_are_worth_all_their_rows() -> None:
    found = support_of(np.ones((1_000, 1)))
    assert (found.ess, found.largest, found.top_share, found.mean_weight) == (1_000, 1, 0.01, 1)
    assert found.unsupported == 0
    assert found.refusal is None


def test_one_large_weight_is_worth_one_row() -> None:
    weights = np.full((1_000, 1), 0.01)
    weights[7] = 990.0
    found = support_of(weights)
    assert found.ess == pytest.approx(1.02, abs=0.01)
    assert found.top_share > 0.99
    assert "effective sample size 1.0" in str(found.refusal)
    assert "990" in str(found.refusal)


def test_the_worst_position_decides() -> None:
    good, bad = np.ones(200), np.where(np.arange(200) < 20, 10.0, 0.0)
    assert support_of(np.column_stack([good, good])).refusal is None
    assert support_of(np.column_stack([good, bad])).ess == 20


def test_mass_that_the_log_could_not_choose_is_refused() -> None:
    weights = np.full((10_000, 1), 0.7)
    found = support_of(weights)
    assert found.unsupported == pytest.approx(0.3)
    assert "30% of what the policy would choose is out of the logged one's reach" in str(found.refusal)


def test_a_mean_weight_that_is_short_by_chance_is_not_refused() -> None:
    weights = np.random.default_rng(1).exponential(1.0, (500, 1))
    weights *= 0.94 / weights.mean()
    found = support_of(weights)
    assert found.mean_weight == pytest.approx(0.94)
    assert found.refusal is None


def test_a_known_share_outside_goes_before_a_guess() -> None:
    assert support_of(np.ones((100, 1)), unsupported=0.06).refusal is not None
    assert support_of(np.full((100, 1), 0.5), unsupported=0.0).refusal is None


@pytest.mark.parametrize("weights", [np.zeros((60, 1)), np.empty((0, 1)), np.empty((60, 0))])
def test_nothing_supports_nothing(weights: np.ndarray) -> None:
    assert support_of(weights).refusal is not None


def test_the_share_outside_is_the_policys_mass_where_the_logged_one_has_none() -> None:
    policy = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    logging = np.array([[1.0, 0.0, 0.0], [0.4, 0.3, 0.3]])
    assert unsupported_share(policy, logging) == pytest.approx(0.25)
    assert unsupported_share(logging, logging) == 0
