from typing import NamedTuple

import numpy as np
import pytest

from state.retrieval.arrays import Ints, check_layout, resized, resized_bundle


class Pair(NamedTuple):
    rows: Ints
    fixed: Ints


def test_resizing_cuts_or_fills_with_zeros_and_copies() -> None:
    array = np.arange(6, dtype=np.int32).reshape(3, 2)
    assert resized(array, 2).tolist() == [[0, 1], [2, 3]]
    assert resized(array, 4).tolist() == [[0, 1], [2, 3], [4, 5], [0, 0]]
    same = resized(array, 3)
    same[0] = 9
    assert array[0].tolist() == [0, 1]


def test_only_arrays_of_a_named_dimension_change() -> None:
    pair = Pair(np.ones(2, np.int32), np.ones(2, np.int32))
    grown = resized_bundle(pair, {"rows": "items"}, {"items": 3, "sessions": 9})
    assert grown.rows.tolist() == [1, 1, 0]
    assert grown.fixed is pair.fixed


def test_kept_arrays_may_have_any_length_but_no_other_rows() -> None:
    fresh = {"score": np.zeros((4, 3), np.float32), "count": np.zeros(0, np.int64)}
    check_layout("pair", {"score": np.ones((9, 3), np.float32), "count": np.ones(2, np.int64)}, fresh)
    wider = {"score": np.ones((4, 5), np.float32), "count": np.ones(2, np.int64)}
    with pytest.raises(ValueError, match=r"pair.score has rows of float32\[5\]; now they are float32\[3\]"):
        check_layout("pair", wider, fresh)
    other = {"score": np.ones((4, 3), np.float32), "count": np.ones(2, np.int32)}
    with pytest.raises(ValueError, match=r"pair.count has rows of int32\[\]; now they are int64\[\]"):
        check_layout("pair", other, fresh)
