import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.ranking.trees import MOST_LEAVES, UnsupportedTree, score_all, trees_of
from tests.state.ranking.made import made_infos, walked

FEATURES = 5


def table(seed, rows, size):
    """Random features [rows, FEATURES, size], many of them just at a threshold."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 3, (rows, FEATURES, size)).astype(np.float32)
    at_threshold = rng.random(values.shape) < 0.4
    values[at_threshold] = rng.choice(np.array([0, 0.1, 1, 2], np.float32), at_threshold.sum())
    return values


def split(threshold=1.0, **changes):
    leaves = {"left_child": {"leaf_value": -1.0}, "right_child": {"leaf_value": 1.0}}
    node = {"split_index": 0, "split_feature": 0, "threshold": threshold}
    return [{"tree_structure": {**node, "decision_type": "<=", "missing_type": "None", **leaves, **changes}}]


def score_of(infos, *features):
    values = np.array(features, np.float32).reshape(1, -1, 1)
    return score_all(trees_of(infos), values, np.ones(1, np.int32))[0, 0]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_scores_are_those_of_walking_each_tree(seed, counts):
    infos = made_infos(seed, features=FEATURES)
    values = table(seed, len(counts), 40)
    scores = score_all(trees_of(infos), values, np.array(counts, np.int32))
    for row, count in enumerate(counts):
        expected = [walked(infos, values[row, :, place]) for place in range(count)]
        assert scores[row, :count].tolist() == expected


def test_a_value_at_the_threshold_goes_left():
    assert score_of(split(), 1.0) == -1.0
    assert score_of(split(), np.nextafter(np.float32(1.0), np.float32(2.0))) == 1.0


def test_a_threshold_between_two_float32_parts_them():
    low, high = np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1.0))
    between = (float(low) + float(high)) / 2
    assert score_of(split(between), low) == -1.0
    assert score_of(split(between), high) == 1.0
    assert score_of(split(float(low) - 1e-12), low) == 1.0


def test_a_tree_that_is_one_leaf_is_a_constant():
    assert score_of([{"tree_structure": {"leaf_value": 0.25}}], 7.0) == 0.25


def test_without_trees_every_score_is_zero():
    assert score_of([], 7.0) == 0.0


def test_a_tree_of_too_many_leaves_is_refused():
    infos = made_infos(1, trees=40, leaves=MOST_LEAVES + 1)
    with pytest.raises(UnsupportedTree, match="has 33 leaves; at most 32"):
        trees_of(infos)


@pytest.mark.parametrize("change", [{"decision_type": "=="}, {"missing_type": "NaN"}])
def test_conditions_on_categories_and_missing_values_are_refused(change):
    with pytest.raises(UnsupportedTree, match="use_missing=false"):
        trees_of(split(**change))
