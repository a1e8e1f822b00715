import numpy as np

from state.policy.context import CONTEXT
from state.posterior.beliefs import ALL, PRIOR, PRIOR_SD, prior


def test_before_anything_is_known_an_exposure_is_worth_the_blends_score() -> None:
    belief = PRIOR.by_scenario[ALL]
    contexts = np.random.default_rng(1).random((20, len(CONTEXT))).astype(np.float32)
    assert np.array_equal(contexts @ belief.mean, contexts[:, CONTEXT.index("blend")])
    assert np.allclose(belief.root @ belief.root.T, PRIOR_SD**2 * np.eye(len(CONTEXT)))
    assert (PRIOR.version, belief.count) == (0, 0.0)
    assert not belief.shown.any()
    assert not belief.earned.any()


def test_all_of_it_is_single_precision() -> None:
    assert {array.dtype for array in prior()[:4]} == {np.dtype(np.float32)}
