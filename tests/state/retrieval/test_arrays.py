from typing import NamedTuple

import numpy as np

from state.retrieval.arrays import Ints, resized, resized_bundle


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
