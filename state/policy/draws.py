"""Normal numbers that every worker draws the same."""

import math
from hashlib import blake2b

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import Doubles
from state.seeds import SEED_BITS, advance, uniform


def seed_named(name: str) -> int:
    """A seed below 2**53 of a name, the same in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") >> (64 - SEED_BITS)


def normals(seed: int, count: int) -> Doubles:
    """Independent standard normal numbers [count] of a seed.

    Source: Box, Muller (1958), A note on the generation of random normal deviates, Ann. Math. Stat. 29(2).

    Examples:
        >>> normals(7, 3).round(3).tolist() == normals(7, 4).round(3).tolist()[:3]
        True
    """
    numbers = np.empty(count)
    _fill(seed, numbers)
    return numbers


@kernel
def _fill(seed: int, numbers: Doubles) -> None:
    state = np.uint64(seed)
    for i in range(0, numbers.size, 2):
        state = advance(state)
        length = math.sqrt(-2.0 * math.log(uniform(state)))
        state = advance(state)
        angle = 2.0 * math.pi * uniform(state)
        numbers[i] = length * math.cos(angle)
        if i + 1 < numbers.size:
            numbers[i + 1] = length * math.sin(angle)
