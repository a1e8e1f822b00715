from hypothesis import example, given
from hypothesis import strategies as st

from state.interner import Interner, pack_strings, unpack_strings


def test_ids_are_dense_and_stay() -> None:
    interner = Interner(["a"])
    assert [interner.intern(string) for string in ("b", "a", "c", "b")] == [1, 0, 2, 1]
    assert interner.strings == ["a", "b", "c"]
    assert len(interner) == 3


@given(st.lists(st.text()))
@example(["\ud800", "", "ß\x00", "\U0001f600"])
def test_any_strings_survive_packing(strings: list[str]) -> None:
    blob, ends = pack_strings(strings)
    assert unpack_strings(blob, ends) == strings
