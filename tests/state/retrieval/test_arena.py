import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.retrieval.arena import block_size, free_block, new_heap, take_block

LIMIT = 20


@pytest.mark.parametrize(("level", "size"), [(0, 8), (1, 16), (2, 20), (3, 20)])
def test_blocks_double_up_to_the_limit(level: int, size: int) -> None:
    assert block_size(level, LIMIT) == size


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=60))
def test_blocks_in_use_never_overlap_and_freed_ones_come_back(steps: list[tuple[bool, int]]) -> None:
    entries, heap = np.zeros(60 * LIMIT, np.int32), new_heap()
    used: list[tuple[int, int]] = []
    peak = {0: 0, 1: 0, 2: 0}
    for take, level in steps:
        same = [block for block in used if block[1] == level]
        if take:
            used.append((take_block(entries, heap, level, LIMIT), level))
            peak[level] = max(peak[level], len(same) + 1)
        elif same:
            used.remove(same[0])
            free_block(entries, heap, level, same[0][0])
    taken = [i for offset, level in used for i in range(offset, offset + block_size(level, LIMIT))]
    assert len(taken) == len(set(taken))
    assert heap[0] == sum(count * block_size(level, LIMIT) for level, count in peak.items())
