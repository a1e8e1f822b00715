import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from state.simulation.agenda import enter, leave, moved

SLOTS = 12
CHANGES = st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 30), st.booleans()), max_size=80)


@settings(deadline=None)
@given(CHANGES)
def test_the_first_is_always_the_earliest_and_the_lower_slot_of_two(changes):
    heap, place = np.zeros(SLOTS, np.int32), np.zeros(SLOTS, np.int32)
    due = np.zeros(SLOTS, np.int64)
    size = 0
    present = {}
    for slot, time, stays in changes:
        if slot not in present:
            due[slot] = present[slot] = time
            size = enter(heap, place, due, size, slot)
        elif stays:
            due[slot] = present[slot] = time
            moved(heap, place, due, size, slot)
        else:
            del present[slot]
            size = leave(heap, place, due, size, slot)
        assert size == len(present)
        assert all(place[heap[at]] == at for at in range(size))
        if present:
            assert heap[0] == min(present, key=lambda slot: (present[slot], slot))


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=SLOTS))
def test_taking_the_first_out_again_and_again_sorts(times):
    heap, place = np.zeros(SLOTS, np.int32), np.zeros(SLOTS, np.int32)
    due = np.array(times + [0] * (SLOTS - len(times)), np.int64)
    size = 0
    for slot in range(len(times)):
        size = enter(heap, place, due, size, slot)
    order = []
    while size:
        order.append(int(heap[0]))
        size = leave(heap, place, due, size, heap[0])
    assert order == sorted(range(len(times)), key=lambda slot: (times[slot], slot))
