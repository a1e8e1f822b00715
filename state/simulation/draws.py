"""Draws from splitmix64 streams that are kept in arrays: one stream per session, a few for the shop."""

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.retrieval.arrays import Doubles
from state.seeds import advance, mixed, uniform

Streams: TypeAlias = NDArray[np.uint64]
"""[n] states."""

TAU: Final = 2.0 * math.pi


@kernel
def stream_of(seed: np.uint64, shopper: int, session: int) -> np.uint64:
    """Start of the stream of a shopper's session; session 0 is the shopper's own."""
    return mixed(advance(mixed(advance(mixed(advance(seed)) + np.uint64(shopper))) + np.uint64(session)))


@kernel
def draw(streams: Streams, index: int) -> float:
    """The stream's next uniform number in (0, 1)."""
    streams[index] = advance(streams[index])
    return uniform(streams[index])


@kernel
def draw_normal(streams: Streams, index: int) -> float:
    """The stream's next standard normal number (Box, Muller 1958), from two uniform ones."""
    radius = math.sqrt(-2.0 * math.log(draw(streams, index)))
    return radius * math.cos(TAU * draw(streams, index))


@kernel
def draw_exponential(streams: Streams, index: int) -> float:
    """The stream's next standard exponential number."""
    return -math.log(draw(streams, index))


@kernel
def draw_below(streams: Streams, index: int, n: int) -> int:
    """The stream's next whole number in [0, n)."""
    return min(n - 1, int(draw(streams, index) * n))


@kernel
def draw_from(streams: Streams, index: int, cumulative: Doubles, first: int, end: int) -> int:
    """Index in [first, end), in proportion to the steps of `cumulative`, which rises to 1 there."""
    u = draw(streams, index)
    low = first
    high = end - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] < u:
            low = middle + 1
        else:
            high = middle
    return low
