"""Who acts next: a binary heap of session slots by due time, each of which knows its place.

`heap` [slots] and `place` [slots] are inverse to each other on the first `size` entries. Ties go to the
lower slot.
"""

from state.kernel import kernel
from state.retrieval.arrays import Ints, Longs


@kernel
def enter(heap: Ints, place: Ints, due: Longs, size: int, slot: int) -> int:
    """Add a slot; returns the new size."""
    heap[size] = slot
    place[slot] = size
    _rise(heap, place, due, size)
    return size + 1


@kernel
def leave(heap: Ints, place: Ints, due: Longs, size: int, slot: int) -> int:
    """Take a slot out; returns the new size."""
    at = place[slot]
    last = heap[size - 1]
    heap[at] = last
    place[last] = at
    if last != slot:
        moved(heap, place, due, size - 1, last)
    return size - 1


@kernel
def moved(heap: Ints, place: Ints, due: Longs, size: int, slot: int) -> None:
    """Put a slot in order again, whose due time has changed."""
    _rise(heap, place, due, place[slot])
    _sink(heap, place, due, size, place[slot])


@kernel
def _before(due: Longs, slot: int, other: int) -> bool:
    return bool(due[slot] < due[other] or (due[slot] == due[other] and slot < other))


@kernel
def _rise(heap: Ints, place: Ints, due: Longs, at: int) -> None:
    slot = heap[at]
    while at > 0:
        above = (at - 1) // 2
        if not _before(due, slot, heap[above]):
            break
        heap[at] = heap[above]
        place[heap[at]] = at
        at = above
    heap[at] = slot
    place[slot] = at


@kernel
def _sink(heap: Ints, place: Ints, due: Longs, size: int, at: int) -> None:
    slot = heap[at]
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and _before(due, heap[below + 1], heap[below]):
            below += 1
        if not _before(due, heap[below], slot):
            break
        heap[at] = heap[below]
        place[heap[at]] = at
        at = below
    heap[at] = slot
    place[slot] = at
