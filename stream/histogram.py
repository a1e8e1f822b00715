"""A Prometheus histogram that takes values by the thousand.

The library's own `Histogram` has no bulk `observe`: each value costs it two calls, a lock and a walk over the
buckets, some 2 us. Ours appends a cycle's values to a list and counts them with numpy once there are enough,
or when somebody looks.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from prometheus_client.utils import floatToGoString

Values: TypeAlias = NDArray[np.floating[Any]]

PENDING: Final = 4096
"""Values kept before they are counted: an array of fewer costs more per value, one of more takes longer than
a slate should wait."""


class Histogram:
    """Classic buckets, with the semantics of Prometheus: `le`, each includes its upper bound.

    Not thread-safe: observe and look in one thread.

    Args:
        bounds: upper bounds, ascending, without +Inf.

    Raises:
        ValueError: the bounds do not ascend.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = np.array(bounds, np.float64)
        if not len(bounds) or not np.all(self._bounds[1:] > self._bounds[:-1]):
            message = f"bounds must ascend: {bounds}"
            raise ValueError(message)
        self._names = [_written(bound) for bound in (*bounds, float("inf"))]
        self._counts = np.zeros(len(bounds) + 1, np.int64)  # one more for what lies above all bounds
        self._sum = 0.0
        self._pending: list[float] = []
        self._arrays: list[Values] = []
        self._in_arrays = 0

    def observe(self, values: Iterable[float] | Values) -> None:
        """Count values, at least 0; one below 0, as two clocks that disagree make it, counts as 0.

        An array is kept as it is until it is counted.
        """
        if isinstance(values, np.ndarray):
            self._arrays.append(values)
            self._in_arrays += values.size
        else:
            self._pending.extend(values)
        if len(self._pending) + self._in_arrays >= PENDING:
            self._fold()

    @property
    def count(self) -> int:
        """How many values were observed."""
        self._fold()
        return int(self._counts.sum())

    @property
    def sum(self) -> float:
        """Their sum."""
        self._fold()
        return self._sum

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound as Prometheus writes it, and how many values lie at or below it; +Inf is the last."""
        self._fold()
        return list(zip(self._names, map(float, self._counts.cumsum()), strict=True))

    def _fold(self) -> None:
        if not self._pending and not self._in_arrays:
            return
        values = np.maximum(np.concatenate([self._pending, *self._arrays]), 0.0, dtype=np.float64)
        self._pending, self._arrays, self._in_arrays = [], [], 0
        # The first bound that is not below the value: the bucket includes its bound.
        places = np.searchsorted(self._bounds, values, side="left")
        self._counts += np.bincount(places, minlength=self._counts.size)
        self._sum += float(values.sum())


def _written(bound: float) -> str:
    name: str = floatToGoString(bound)  # type: ignore[no-untyped-call]  # the library left it out
    return name
