"""The kernel against the rules in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from state.reranking.rerank import count_capped, rerank_all

CODES = [0, 1, 1, 2, 2, 2, 3, 3, 0, 1, 2, 3]
"""Category of each of 12 items, 0 for none."""
GROUP_OF = [-1, 0, 0, 1]
"""1 and 2 share a limit."""
FACTORS = st.sampled_from([0.0, 0.5, 1.0, 1.0, 1.0, 3.0])


@st.composite
def cases(draw):
    rows = draw(st.integers(0, 3))
    shape = rows, len(CODES)
    items = [draw(st.permutations(range(len(CODES)))) for _ in range(rows)]
    scores = [
        sorted(draw(st.lists(st.floats(0, 8, width=16), min_size=12, max_size=12))) for _ in range(rows)
    ]
    return {
        "items": np.array(items, np.int32).reshape(shape),
        "scores": np.array(scores, np.float32).reshape(shape)[:, ::-1].copy(),
        "counts": np.array([draw(st.integers(0, 12)) for _ in range(rows)], np.int32),
        "by_item": np.array(draw(st.lists(FACTORS, min_size=12, max_size=12)), np.float32),
        "by_category": np.array(draw(st.lists(FACTORS, min_size=4, max_size=4)), np.float32),
        "listed": np.array(draw(st.lists(st.integers(1, 4), min_size=2, max_size=2)), np.int32),
        "further": draw(st.sampled_from([1.0, 0.5, 0.25])),
        "size": draw(st.integers(0, 12)),
    }


def run(case):
    """The kernel's answer: kept items, scores, shares and counts; factors, groups; excluded, passed over."""
    rows, size = len(case["counts"]), case["size"]
    shares = np.stack([case["scores"], np.zeros_like(case["scores"])], axis=2)
    answer = (
        np.zeros((rows, size), np.int32),
        np.zeros((rows, size), np.float32),
        np.zeros((rows, size, 2), np.float32),
        np.zeros(rows, np.int32),
        np.ones((rows, size, 3), np.float32),
        np.full((rows, size), -1, np.int32),
        np.zeros(rows, np.int32),
        np.zeros(rows, np.int32),
    )
    rerank_all(
        case["items"],
        case["scores"],
        shares,
        case["counts"],
        np.array(CODES, np.int32),
        case["by_item"],
        case["by_category"],
        np.array(GROUP_OF, np.int32),
        case["listed"],
        case["further"],
        *answer,
    )
    return answer


def greedy(case, row):
    """The candidates of a row by definition: the largest of what diversity leaves, again and again."""
    left, seen, order = [], {}, []
    for item, score in zip(case["items"][row], case["scores"][row], strict=True):
        if len(left) == case["counts"][row]:
            break
        left.append((int(item), float(score)))
    ruled = [
        (item, score, float(case["by_item"][item] * case["by_category"][CODES[item]])) for item, score in left
    ]
    rest = [(item, np.float32(score) * np.float32(factor)) for item, score, factor in ruled if factor > 0]
    while rest:
        worth = [
            (value * np.float32(case["further"] ** seen.get(CODES[item], 0) if CODES[item] else 1.0))
            for item, value in rest
        ]
        best = int(np.argmax(worth))
        item, _ = rest.pop(best)
        order.append((item, float(worth[best])))
        seen[CODES[item]] = seen.get(CODES[item], 0) + 1
    return order, len(left) - len(ruled) + sum(factor == 0 for _, _, factor in ruled)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_it_is_the_greedy_choice_cut_by_the_limits(case):
    items, scores, _, counts, _, groups, excluded, _ = run(case)
    for row in range(len(counts)):
        order, out = greedy(case, row)
        held, wanted = {}, []
        for item, worth in order:
            group = GROUP_OF[CODES[item]]
            if group >= 0 and held.get(group, 0) == case["listed"][group]:
                continue
            held[group] = held.get(group, 0) + 1
            wanted.append((item, worth))
        wanted = wanted[: case["size"]]
        count = counts[row]
        assert excluded[row] == out
        assert count == len(wanted)
        # Where two are worth the same, either may come first: the scores are what the policy sees.
        np.testing.assert_allclose(scores[row, :count], [worth for _, worth in wanted], rtol=1e-5)
        assert (np.diff(scores[row, :count]) <= 0).all()
        assert (scores[row, count:] == 0).all()
        assert groups[row, :count].tolist() == [GROUP_OF[CODES[item]] for item in items[row, :count]]
        assert len(set(items[row, :count].tolist())) == count


@settings(max_examples=200, deadline=None)
@given(cases())
def test_a_score_is_the_shares_times_the_factors(case):
    items, scores, shares, counts, factors, _, _, _ = run(case)
    for row, count in enumerate(counts):
        for place in range(count):
            item = items[row, place]
            assert factors[row, place, 0] == case["by_item"][item]
            assert factors[row, place, 1] == case["by_category"][CODES[item]]
            wanted = shares[row, place].sum() * factors[row, place].prod(dtype=np.float32)
            np.testing.assert_allclose(scores[row, place], wanted, rtol=1e-5)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_what_is_passed_over_is_what_a_longer_list_would_not_hold_either(case):
    _, _, _, counts, _, _, excluded, passed_over = run(case | {"size": 12})
    assert (counts + excluded + passed_over == case["counts"]).all()


def test_items_without_a_category_are_like_nothing_else():
    case = {
        "items": np.array([[0, 8, 1, 2]], np.int32),
        "scores": np.array([[4.0, 4.0, 4.0, 4.0]], np.float32),
        "counts": np.array([4], np.int32),
        "by_item": np.ones(12, np.float32),
        "by_category": np.ones(4, np.float32),
        "listed": np.array([9, 9], np.int32),
        "further": 0.5,
        "size": 4,
    }
    items, scores, _, _, factors, _, _, _ = run(case)
    assert items.tolist() == [[0, 8, 1, 2]]
    assert scores.tolist() == [[4.0, 4.0, 4.0, 2.0]]
    assert factors[0, :, 2].tolist() == [1.0, 1.0, 1.0, 0.5]


def test_what_a_full_slate_keeps_out_is_counted():
    groups = np.array([[0, 0, 0, 1, -1], [0, 1, 1, 1, 0]], np.int32)
    indices = np.array([[0, 3], [1, 2]], np.int32)
    capped = count_capped(
        np.array([5, 4], np.int32), groups, np.array([1, 2], np.int32), indices, np.array([2, 2], np.int32)
    )
    assert capped.tolist() == [2, 1]
