from zlib import crc32

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


@given(st.lists(st.lists(st.text(), unique=True), max_size=5))
def test_strings_are_written_as_they_are_added_and_what_was_written_stays(batches: list[list[str]]) -> None:
    interner = Interner()
    for batch in batches:
        for string in batch:
            interner.intern(string)
        before = interner.written()
        kept = [array.copy() for array in before]
        text, ends, hashes = before
        encoded = [string.encode("utf-8", "surrogatepass") for string in interner.strings]
        found = [text[ends[i] : ends[i + 1]].tobytes() for i in range(len(interner))]
        assert found == encoded
        assert hashes[: len(interner)].tolist() == [crc32(part) for part in encoded]
        interner.intern(f"more than {len(interner)}")
        interner.written()
        assert before.text[: ends[len(found)]].tobytes() == kept[0][: ends[len(found)]].tobytes()


def test_a_long_list_of_strings_outgrows_its_first_arrays() -> None:
    interner = Interner(f"item-{n}" for n in range(700))
    assert interner.written().hashes.size >= 700
    for n in range(700, 5000):
        interner.intern(f"item-{n}")
    text, ends, hashes = interner.written()
    assert text[ends[4999] : ends[5000]].tobytes() == b"item-4999"
    assert hashes[0] == crc32(b"item-0")
