import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from state.policy.limits import Limits, closed, count_in, forget, without

GROUPS = st.lists(st.integers(-1, 3), max_size=12)


def limits(groups, most=(1, 2, 3, 4)):
    return Limits(np.array([groups], np.int32), np.array(most, np.int32))


def test_nothing_is_closed_but_what_is_taken_while_no_group_is_full():
    assert closed(limits([1, 1, -1, 2]), 0, [0]) == [0]


def test_a_full_group_closes_all_its_candidates():
    assert closed(limits([0, 1, 0, 0, -1]), 0, [2]) == [0, 2, 3]


def test_candidates_without_a_group_are_never_closed():
    assert closed(limits([-1] * 6), 0, [3]) == [3]


def test_each_row_has_groups_of_its_own():
    both = Limits(np.array([[0, 0], [0, 1]], np.int32), np.array([1, 1], np.int32))
    assert closed(both, 0, [0]) == [0, 1]
    assert closed(both, 1, [0]) == [0]


@given(GROUPS, st.data())
def test_counting_item_by_item_closes_the_same_groups(groups, data):
    taken = data.draw(st.lists(st.sampled_from(range(len(groups))), unique=True) if groups else st.just([]))
    row, most = np.array(groups, np.int32), np.array([1, 2, 3, 4], np.int32)
    held, left, end = np.zeros(4, np.int32), np.arange(len(groups)), len(groups)
    for index in taken:
        if count_in(held, most, row[index]):
            end = without(left, 0, end, row, row[index])
    still = set(left[:end].tolist()) - set(taken)
    assert still == set(range(len(groups))) - set(closed(limits(groups), 0, taken))
    forget(held, row, np.array(taken, np.int32))
    assert held.tolist() == [0, 0, 0, 0]


def test_what_is_taken_out_leaves_the_others_in_their_order():
    left = np.array([9, 4, 0, 3, 1, 2])
    row = np.array([0, 1, 0, 0, 1], np.int32)
    assert without(left, 1, 6, row, 0) == 3
    assert left[:3].tolist() == [9, 4, 1]
