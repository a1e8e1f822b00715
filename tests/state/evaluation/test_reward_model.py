import numpy as np
import pytest

from state.evaluation.reward_model import fit_rewards, fold_of
from state.policy.context import CONTEXT_SIZE, FULL


def test_a_linear_truth_is_found_at_each_position() -> None:
    rng = np.random.default_rng(1)
    n, k = 20_000, 2
    contexts = rng.integers(0, FULL + 1, (n, k, CONTEXT_SIZE)).astype(np.uint8)
    contexts[..., 0] = FULL
    truth = rng.normal(0, 0.3, (CONTEXT_SIZE, k))
    rewards = np.einsum("nkd,dk->nk", contexts / FULL, truth) + rng.normal(0, 0.1, (n, k))
    users = rng.integers(0, 500, n).astype(np.int32)
    model = fit_rewards(contexts, rewards, np.full(n, k, np.int32), users)
    for fold in model.means:
        assert fold == pytest.approx(truth, abs=0.02)
    expected = model.of(contexts[:5], users[:5])
    assert expected.shape == (5, 2, k)
    assert expected[3, 1, 1] == pytest.approx(contexts[3, 1] / FULL @ truth[:, 1], abs=0.05)


def test_what_is_expected_of_a_user_comes_from_others() -> None:
    users = np.arange(100, dtype=np.int32)
    contexts = np.full((100, 1, CONTEXT_SIZE), FULL, np.uint8)
    rewards = fold_of(users).astype(float).reshape(-1, 1)
    expected = fit_rewards(contexts, rewards, np.ones(100, np.int32), users).of(contexts, users)[:, 0, 0]
    assert expected == pytest.approx(1 - fold_of(users), abs=0.05)


def test_what_stands_beyond_a_short_slate_teaches_nothing() -> None:
    users = np.arange(40, dtype=np.int32)
    contexts = np.zeros((40, 2, CONTEXT_SIZE), np.uint8)
    contexts[..., 0] = FULL
    rewards, sizes = np.ones((40, 2)), np.full(40, 2, np.int32)
    sizes[:20] = 1
    rewards[:20, 1] = 1e6
    assert fit_rewards(contexts, rewards, sizes, users).means[:, 0, 1] == pytest.approx([1, 1], abs=1e-6)
