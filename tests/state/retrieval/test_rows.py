import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from state.retrieval.rows import find_target, put_entry

START = 5
LANES = 16
STEPS = st.lists(st.tuples(st.integers(0, 60), st.floats(0.0, 100.0, width=32)), max_size=200)


@settings(deadline=None)
@given(STEPS)
def test_a_row_holds_the_sums_in_falling_order(steps: list[tuple[int, float]]) -> None:
    target, weight = np.full(100, -1, np.int32), np.full(100, -1.0, np.float32)
    expected: dict[int, np.float32] = {}
    count = 0
    for item, share in steps:
        place = find_target(target, START, count, item)
        assert (place >= 0) == (item in expected)
        value = share + (weight[START + place] if place >= 0 else 0.0)
        put_entry(target, weight, START, place if place >= 0 else count, item, value)
        expected[item] = np.float32(value)
        count = len(expected)
        row = weight[START : START + count]
        assert (np.diff(row) <= 0).all()
        assert dict(zip(target[START : START + count].tolist(), row, strict=True)) == expected
    assert (target[:START] == -1).all()
    assert (target[START + count :] == -1).all()


def test_every_place_of_a_row_is_searched_and_nothing_outside() -> None:
    target = np.arange(3 * LANES, dtype=np.int32)
    for count in range(2 * LANES + 2):
        found = [find_target(target, 3, count, wanted) for wanted in range(3 * LANES)]
        assert found == [n - 3 if 3 <= n < 3 + count else -1 for n in range(3 * LANES)]
