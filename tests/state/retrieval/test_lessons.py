import pytest

from state.interner import Interner
from state.retrieval.lessons import as_longs, lessons
from tests.state.retrieval.shops import CLICK, PURCHASE, T, make_delta


def test_deltas_become_columns_in_order() -> None:
    items = Interner(["b"])
    deltas = [
        make_delta([("a", 1, T, CLICK), ("b", 0, T + 1, PURCHASE)]),
        make_delta([]),
        make_delta([("a", 2**53 - 1, -T, CLICK)]),
    ]
    found = lessons(deltas, items.ids, items.intern)
    assert items.strings == ["b", "a"]
    assert found.items.tolist() == [1, 0, 1]
    assert list(found.sessions) == [1, 0, 2**53 - 1]
    assert found.times.tolist() == [T, T + 1, -T]
    assert found.types.tolist() == [CLICK, PURCHASE, CLICK]
    assert found.items.dtype == "int32"


def test_nothing_gives_empty_columns() -> None:
    assert lessons([], {}, Interner().intern).times.size == 0


def test_a_number_beyond_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        as_longs([2**64])
