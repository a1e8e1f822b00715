"""Item ids as dense integers: the row of an item in every array."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


class Written(NamedTuple):
    """Strings by id, for kernels; rows beyond the strings there are mean nothing."""

    text: NDArray[np.uint8]
    """UTF-8 of all strings, one after the other."""
    ends: NDArray[np.int64]
    """[1 + n] end of each string in `text`, after a 0."""
    hashes: NDArray[np.uint32]
    """[n] CRC-32 of each."""


_NOTHING = Written(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.uint32))


class Interner:
    """Gives each new string the next integer, from 0."""

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self.strings: list[str] = list(strings)
        """The string of each id."""
        self.ids: dict[str, int] = {string: i for i, string in enumerate(self.strings)}
        """The id of each string."""
        self._written = _NOTHING
        self._count = 0

    def __len__(self) -> int:
        return len(self.strings)

    def intern(self, string: str) -> int:
        """The id of the string, a new one for a new string."""
        found = self.ids.get(string)
        if found is None:
            found = self.ids[string] = len(self.strings)
            self.strings.append(string)
        return found

    def written(self) -> Written:
        """All strings as bytes. The arrays stay as they are for the ids known now."""
        new = self.strings[self._count :]
        if new:
            text, ends, hashes = self._written
            encoded = [_encoded(string) for string in new]
            start = int(ends[self._count])
            blob = np.frombuffer(b"".join(encoded), np.uint8)
            places = start + np.cumsum([len(part) for part in encoded], dtype=np.int64)
            self._written = Written(
                _with(text, start, blob),
                _with(ends, self._count + 1, places),
                _with(hashes, self._count, np.array([crc32(part) for part in encoded], np.uint32)),
            )
            self._count += len(new)
        return self._written


def _with(array: NDArray[Any], start: int, new: NDArray[Any]) -> NDArray[Any]:
    """The array with `new` from `start` on; a larger one, with room to spare, where it does not fit."""
    end = start + new.size
    if end > array.size:
        grown = np.zeros(max(1024, 2 * end), array.dtype)
        grown[:start] = array[:start]
        array = grown
    array[start:end] = new
    return array


def _encoded(string: str) -> bytes:
    """UTF-8; lone surrogates, which JSON can carry, survive."""
    return string.encode("utf-8", "surrogatepass")


def pack_strings(strings: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Strings as one UTF-8 blob [bytes] and the end of each in it [n]."""
    encoded = [_encoded(string) for string in strings]
    ends = np.cumsum([len(part) for part in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8).copy(), ends


def unpack_strings(blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    """The strings that `pack_strings` packed."""
    data = blob.tobytes()
    starts = [0, *ends.tolist()]
    return [data[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(starts)]
