"""Blocks of 8, 16, 32, ... entries in one growing array, so that memory follows real use.

A list of an item (its postings, its rules) starts in a block of 8 and moves to one twice as large when it is
full, up to the list's limit. A block that was left is chained into the free list of its size, by
its first entry, and used again before the arena grows.

`heap` int64 [2 + MAX_LEVEL]: `heap[0]` is the end of the used part, `heap[1 + level]` the first free block
of that level, or -1.
"""

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arrays import Ints, Longs

FIRST_BLOCK = 8
MAX_LEVEL = 16


def new_heap() -> Longs:
    """Heap of an empty arena."""
    heap = np.full(2 + MAX_LEVEL, -1, np.int64)
    heap[0] = 0
    return heap


@kernel_part
def block_size(level: int, limit: int) -> int:
    """Entries of a block of this level in an arena whose lists hold at most `limit`."""
    return int(min(FIRST_BLOCK << level, limit))


@kernel_part
def take_block(entries: Ints, heap: Longs, level: int, limit: int) -> int:
    """Offset of a block for use; the caller has made sure that the arena has room for one."""
    first = int(heap[1 + level])
    if first >= 0:
        heap[1 + level] = entries[first]
        return first
    first = int(heap[0])
    heap[0] += block_size(level, limit)
    return first


@kernel_part
def free_block(entries: Ints, heap: Longs, level: int, offset: int) -> None:
    """Give a block back; its entries are lost."""
    entries[offset] = heap[1 + level]
    heap[1 + level] = offset
