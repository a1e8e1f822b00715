"""Records: one array of structs where a thing has many numbers.

A kernel takes one argument instead of dozens, which is what compiling it costs by; and a session's numbers
lie together in memory.
"""

from typing import Any, TypeAlias

import numpy as np

Records: TypeAlias = np.recarray[Any, np.dtype[Any]]
"""[n] structs; `rows.price` is the column [n], `rows[i].price` one number, also in kernels."""

Record: TypeAlias = Any
"""One of them; a kernel that sets a field of it sets it in the array."""


def new_records(rows: int, dtype: np.dtype[Any]) -> Records:
    """So many rows of zeros."""
    return np.zeros(rows, dtype).view(np.recarray)


def resized_records(records: Records, rows: int) -> Records:
    """A copy with exactly `rows` rows: cut, or filled up with zeros."""
    copy = new_records(rows, records.dtype)
    kept = min(rows, len(records))
    copy[:kept] = records[:kept]
    return copy
