"""Bundles of arrays: how the numbers of one source are kept, grown and copied.

A source keeps its numbers in one NamedTuple of arrays, which a kernel takes as one argument. The first
axis of each array counts items, sessions or arena entries; the source's module says which in a table
of dimensions, so that growing and copying are written once.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int8]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DAY_MS = 86_400_000
"""Milliseconds of a day: times are epoch milliseconds, decays are given in days."""

Bundle = TypeVar("Bundle", bound=tuple[Any, ...])


def resized(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """A copy with exactly `rows` rows: cut, or filled up with zeros."""
    copy = np.zeros((rows, *array.shape[1:]), array.dtype)
    kept = min(rows, array.shape[0])
    copy[:kept] = array[:kept]
    return copy


def resized_bundle(bundle: Bundle, dimensions: Mapping[str, str], sizes: Mapping[str, int]) -> Bundle:
    """The bundle with every array of a dimension named in `sizes` cut or grown to that many rows.

    Arrays of other dimensions are shared, not copied.
    """
    fields: dict[str, NDArray[Any]] = bundle._asdict()  # type: ignore[attr-defined]  # every Bundle is a NamedTuple
    return type(bundle)(
        *(
            resized(array, sizes[dimensions[name]]) if dimensions.get(name) in sizes else array
            for name, array in fields.items()
        )
    )


def check_layout(name: str, found: Mapping[str, NDArray[Any]], fresh: Mapping[str, NDArray[Any]]) -> None:
    """Make sure that arrays that were kept are what a bundle's are today: a kernel would misread others.

    Args:
        name: Of the bundle, for the message.
        found: As kept, by field.
        fresh: Of a new bundle.

    Raises:
        ValueError: Type or shape differs; the first axis may have any length.
    """
    for field, array in fresh.items():
        kept = found[field]
        if (kept.dtype, kept.shape[1:]) != (array.dtype, array.shape[1:]):
            message = (
                f"{name}.{field} has rows of {kept.dtype}{list(kept.shape[1:])}; now they are "
                f"{array.dtype}{list(array.shape[1:])}"
            )
            raise ValueError(message)
