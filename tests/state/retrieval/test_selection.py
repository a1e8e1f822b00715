import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from state.retrieval.selection import BUCKETS, select_top

VALUES = st.floats(0, 2.0**100, width=32) | st.sampled_from([0.0, 1.0, 2.0])


@settings(deadline=None)
@given(st.lists(VALUES, max_size=300), st.integers(0, 310))
def test_the_largest_are_selected_and_the_first_among_equals(values: list[float], k: int) -> None:
    array = np.array([*values, 9e30], np.float32)
    chosen, buckets = np.zeros(array.size, np.int32), np.zeros(BUCKETS, np.int32)
    found = select_top(array, len(values), k, chosen, buckets)
    expected = sorted(np.argsort(-array[:-1], kind="stable")[:k].tolist())
    assert chosen[:found].tolist() == expected


def test_selection_does_not_change_the_values() -> None:
    array = np.arange(2000, dtype=np.float32)
    chosen, buckets = np.zeros(2000, np.int32), np.zeros(BUCKETS, np.int32)
    assert select_top(array, 2000, 10, chosen, buckets) == 10
    assert np.array_equal(array, np.arange(2000, dtype=np.float32))
    assert chosen[:10].tolist() == list(range(1990, 2000))
