"""Random numbers that a replay draws again: one seed per input record, one splitmix64 stream per seed.

The seed of a slate depends on nothing but where its trigger stood in the log, so every worker, and
anyone who reads the log later, draws the same.

Source: Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, OOPSLA; constants
as in Vigna's `splitmix64.c`.
"""

import functools
import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from state.event import Origin
from state.kernel import kernel

SEED_BITS: Final = 53
"""Seeds stay below 2**53: a double, and so every JSON reader, holds them exactly."""

_GAMMA: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_MASK: Final = (1 << 64) - 1

# numba turns uint64 mixed with a signed integer into a float: every constant of a kernel is unsigned.
_U_GAMMA: Final = np.uint64(_GAMMA)
_U_FIRST: Final = np.uint64(_FIRST)
_U_SECOND: Final = np.uint64(_SECOND)
_U_27: Final = np.uint64(27)
_U_30: Final = np.uint64(30)
_U_31: Final = np.uint64(31)
_U_12: Final = np.uint64(12)


@functools.lru_cache(maxsize=4096)
def log_salt(topic: str, partition: int) -> int:
    """Where the stream of a partition's seeds starts, below 2**64; the same in every process."""
    digest = hashlib.blake2b(f"{topic}:{partition}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def seed_of(topic: str, partition: int, offset: int) -> int:
    """Seed of the slate that the record at this place in the log asks for, below 2**53.

    It is the top 53 bits of the partition's splitmix64 stream at `offset`. That stream is a bijection of
    the offset on 64 bits, so two records share a seed only by the 2**-53 chance of the cut.

    Examples:
        >>> seed_of("events", 3, 41), seed_of("events", 3, 42)
        (7010063472241990, 8339913302778643)
    """
    x = (log_salt(topic, partition) + offset * _GAMMA) & _MASK
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK
    return (x ^ (x >> 31)) >> (64 - SEED_BITS)


def seeds_of(origins: Sequence[Origin]) -> NDArray[np.int64]:
    """`seed_of` for each of these places [n], in one call."""
    salts = np.array([log_salt(origin.topic, origin.partition) for origin in origins], np.uint64)
    offsets = np.array([origin.offset for origin in origins], np.uint64)
    return (mixed_all(salts + offsets * _U_GAMMA) >> np.uint64(64 - SEED_BITS)).astype(np.int64)


@kernel
def mixed_all(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The 64 random bits of each state."""
    bits = np.empty_like(states)
    for i in range(states.size):
        bits[i] = mixed(states[i])
    return bits


@kernel
def advance(state: np.uint64) -> np.uint64:
    """Next state of a stream; a stream starts at its seed, and is advanced before each draw."""
    return state + _U_GAMMA


@kernel
def mixed(state: np.uint64) -> np.uint64:
    """The 64 random bits of this state."""
    x = (state ^ (state >> _U_30)) * _U_FIRST
    x = (x ^ (x >> _U_27)) * _U_SECOND
    return x ^ (x >> _U_31)


@kernel
def uniform(state: np.uint64) -> float:
    """The uniform number of this state, in [2**-53, 1 - 2**-53]: its logarithm is finite and not 0.

    52 bits and a half, because 53 bits and a half can round to 1.
    """
    return (np.float64(mixed(state) >> _U_12) + 0.5) * 2.0**-52
