"""What was believed at a time; the topics are read in tests/kafka/test_offpolicy.py."""

import numpy as np
import pytest

from state.policy.river_model import RiverLearner
from state.posterior.beliefs import PRIOR
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from stream.beliefs import PastFold
from tests.state.posterior.made import HOUR, T, delta, log, rewards

CONFIG = LearningConfig()
SHOWN = log(3, count=600, minutes=300)
AFTER = T + 400 * HOUR


def folded(shown, answered, learners=None) -> PastFold:
    fold = PastFold(CONFIG, learners)
    deltas = [delta(shown[n : n + 20]) for n in range(0, len(shown), 20)]
    for part in (deltas[10:], deltas[:10]):
        fold.learn(part, [AFTER] * len(part))
    earned = rewards(answered)
    fold.reward(earned, [AFTER] * len(earned))
    return fold


def test_nothing_before_a_time_is_nothing_known() -> None:
    believed = PastFold(CONFIG).believed()
    assert (believed.beliefs, believed.exposures, believed.rewards) == (PRIOR, 0.0, 0)


def test_exposures_then_rewards_are_believed_as_a_worker_does_in_its_order() -> None:
    worker = Posterior(CONFIG)
    for each in SHOWN:
        worker.learn([delta([each])], [AFTER])
        worker.reward(rewards([each]), [AFTER])
    wanted, believed = worker.beliefs(), folded(SHOWN, SHOWN).believed()
    assert believed.beliefs.version == wanted.version
    assert believed.exposures == pytest.approx(wanted.by_scenario[""].count)
    assert believed.exposures > 400
    assert believed.rewards == len(rewards(SHOWN))
    np.testing.assert_allclose(
        believed.beliefs.by_scenario[""].mean, wanted.by_scenario[""].mean, rtol=1e-3, atol=1e-4
    )
    assert np.abs(wanted.by_scenario[""].mean - PRIOR.by_scenario[""].mean).max() > 0.05


def test_rewards_of_slates_before_the_first_exposure_are_no_success() -> None:
    late = folded(SHOWN[200:], SHOWN).believed()
    wanted = folded(SHOWN[200:], SHOWN[200:]).believed()
    assert late.rewards == wanted.rewards < len(rewards(SHOWN))
    np.testing.assert_allclose(late.beliefs.by_scenario[""].mean, wanted.beliefs.by_scenario[""].mean)


def test_a_model_of_river_is_taught_what_has_matured() -> None:
    pytest.importorskip("river")
    learner = RiverLearner("linear_model.LinearRegression", {})
    folded(SHOWN, SHOWN, {learner.spec: learner}).believed()
    matured = sum(each.time < SHOWN[-1].time - CONFIG.maturity_ms - CONFIG.bucket_ms for each in SHOWN)
    assert learner.count == pytest.approx(matured, abs=5)
    assert learner.count > 400
