import numpy as np

from state.policy.context import CONTEXT_SIZE
from state.posterior.beliefs import PRIOR, PRIOR_SD


def test_before_anything_is_known_the_expected_reward_is_the_blends_byte():
    (belief,) = PRIOR.by_scenario.values()
    context = np.arange(CONTEXT_SIZE) * 20 / 255
    assert PRIOR.version == 0
    assert np.float32(belief.mean @ context) == np.float32(context[1])
    np.testing.assert_allclose(belief.root @ belief.root.T, PRIOR_SD**2 * np.eye(CONTEXT_SIZE), rtol=1e-6)
    assert belief.count == belief.shown.sum() == belief.earned.sum() == 0
