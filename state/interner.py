"""Item ids as dense integers: the row of an item in every array."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class Interner:
    """Gives each new string the next integer, from 0."""

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self.strings: list[str] = list(strings)
        """The string of each id."""
        self.ids: dict[str, int] = {string: i for i, string in enumerate(self.strings)}
        """The id of each string."""

    def __len__(self) -> int:
        return len(self.strings)

    def intern(self, string: str) -> int:
        """The id of the string, a new one for a new string."""
        found = self.ids.get(string)
        if found is None:
            found = self.ids[string] = len(self.strings)
            self.strings.append(string)
        return found


def pack_strings(strings: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Strings as one UTF-8 blob [bytes] and the end of each in it [n].

    Lone surrogates, which JSON can carry, survive.
    """
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    ends = np.cumsum([len(part) for part in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8).copy(), ends


def unpack_strings(blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    """The strings that `pack_strings` packed."""
    data = blob.tobytes()
    starts = [0, *ends.tolist()]
    return [data[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(starts)]
