"""The context's layout."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from state.policy.context import CONTEXT, CONTEXT_SIZE, chosen_contexts, contexts_of, contexts_of_scores
from state.retrieval.blend import Ranked
from state.retrieval.weights import SOURCES


def test_every_source_has_its_number() -> None:
    assert CONTEXT[:3] == ("bias", "blend", "rank")
    assert CONTEXT[3:] == tuple(f"source_{name}" for name in SOURCES)
    assert len(CONTEXT) == CONTEXT_SIZE


def ranked_of(contributions, counts, scores=None):
    shares = np.array(contributions, np.float32)
    totals = shares.sum(axis=2) if scores is None else np.array(scores, np.float32)
    return Ranked(np.zeros(totals.shape, np.int32), totals, shares, np.array(counts, np.int32))


def test_a_context_says_blend_rank_and_shares_in_bytes() -> None:
    shares = np.zeros((1, 3, 8))
    shares[0, 0, :2] = 1.5, 0.5
    shares[0, 1, 7] = 1.0
    contexts = contexts_of(ranked_of(shares, [2]))
    assert contexts.dtype == np.uint8
    assert contexts[0, 0].tolist() == [255, 255, 255, 191, 64, 0, 0, 0, 0, 0, 0]
    assert contexts[0, 1].tolist() == [255, 128, 128, 0, 0, 0, 0, 0, 0, 0, 128]
    assert not contexts[0, 2].any()  # no candidate


def test_without_scores_only_bias_and_rank_are_left() -> None:
    contexts = contexts_of(ranked_of(np.zeros((1, 4, 8)), [4]))
    assert contexts[0, :, 0].tolist() == [255] * 4
    assert contexts[0, :, 2].tolist() == [255, 128, 85, 64]
    assert not contexts[0, :, [1, *range(3, CONTEXT_SIZE)]].any()


def test_under_a_ranker_shares_are_of_the_blend_and_not_of_the_rankers_scores() -> None:
    shares = np.zeros((1, 2, 8))
    shares[0, :, 0] = 0.5, 2.0  # the blend's best is second for the ranker
    contexts = contexts_of(ranked_of(shares, [2], scores=[[0.01, 0.005]]))
    assert contexts[0, :, 1].tolist() == [255, 128]
    assert contexts[0, :, 3].tolist() == [64, 255]


def test_plugged_in_sources_count_in_the_blend_and_have_no_number_of_their_own() -> None:
    shares = np.zeros((1, 1, 10))
    shares[0, 0, [0, 9]] = 1.0
    contexts = contexts_of(ranked_of(shares, [1]))
    assert contexts.shape == (1, 1, CONTEXT_SIZE)
    assert contexts[0, 0, 3] == 128


@given(st.integers(0, 2**31), st.integers(1, 70))
def test_bytes_are_those_of_exact_shares_within_half_a_step(seed, count) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.exponential(size=(1, count, 8)).astype(np.float32)
    ranked = ranked_of(shares, [count])
    contexts = contexts_of(ranked)[0].astype(float)
    total = shares[0].sum(axis=1, dtype=float)
    assert np.abs(contexts[:, 1] - 255 * total / total.max()).max() < 0.51
    assert np.abs(contexts[:, 3:] - 255 * shares[0] / total.max()).max() < 0.51


def test_scores_alone_give_the_same_blend_and_rank() -> None:
    shares = np.random.default_rng(1).random((3, 9, 8))
    ranked = ranked_of(shares, [9, 0, 4])
    alone, whole = contexts_of_scores(ranked.scores.astype(np.float64), ranked.counts), contexts_of(ranked)
    assert np.abs(alone[..., 1].astype(int) - whole[..., 1]).max() <= 1
    assert np.array_equal(alone[..., [0, 2]], whole[..., [0, 2]])
    assert not alone[..., 3:].any()


def test_chosen_contexts_are_those_of_the_items_slate_by_slate() -> None:
    contexts = np.arange(2 * 3 * CONTEXT_SIZE).reshape(2, 3, CONTEXT_SIZE).astype(np.uint8)
    chosen = chosen_contexts(contexts, np.array([[2, 0], [1, 9]], np.int32), np.array([2, 1], np.int32))
    assert np.array_equal(chosen, np.stack([contexts[0, 2], contexts[0, 0], contexts[1, 1]]))
