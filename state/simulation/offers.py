"""Slates for the sessions that wait for one: an engine's, judged as they are seen, or the shop's own."""

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import Doubles, Ints
from state.simulation.choice import best_items, click_chance
from state.simulation.entrance import hand_over, is_waiting
from state.simulation.sessions import WAITING, has_seen
from state.simulation.world import World


@kernel
def offer(
    world: World, shoppers: Ints, slates: Ints, now: int, seen: Ints, expected: Doubles, best: Doubles
) -> int:
    """Show slates to those of the shoppers who wait for one.

    Args:
        world: All arrays.
        shoppers: [m] indices.
        slates: [m, k] items, -1 where there is none.
        now: Epoch ms.
        seen: [m] filled with the rows that were seen; the result says how many.
        expected: [m] filled with the true click probability of each of those.
        best: [m] filled with that of the best slate of the same length.
    """
    clock = world.clock[0]
    size = min(slates.shape[1], world.examined.size)
    ideal = np.empty(size, np.int32)
    values = np.empty(size, np.float64)
    count = 0
    for row in range(shoppers.size):
        if not is_waiting(world, shoppers[row], now):
            continue
        slot = world.shoppers.rows[shoppers[row]].slot
        session = world.sessions.rows[slot]
        for place in range(size):
            session.slate[place] = slates[row, place]
        session.slate_size = size
        seen[count] = row
        expected[count] = click_chance(world, slot, slates[row, :size])
        found = best_items(world, slot, ideal, values)
        best[count] = click_chance(world, slot, ideal[:found])
        clock.shown += 1
        hand_over(world, slot, now, clock.shown)
        count += 1
    return count


@kernel
def serve_popular(world: World, now: int) -> int:
    """Show every waiting session what is most popular in its category and new to it; returns how many."""
    catalogue, clock = world.catalogue, world.clock[0]
    count = 0
    for slot in range(1, world.sessions.due.size):
        session = world.sessions.rows[slot]
        if session.state != WAITING or world.sessions.due[slot] <= now:
            continue
        category = catalogue.categories[session.category]
        size = 0
        for place in range(category.first, category.end):
            item = catalogue.order[place]
            if not catalogue.items[item].available or has_seen(session, item):
                continue
            session.slate[size] = item
            size += 1
            if size == world.examined.size:
                break
        session.slate_size = size
        clock.served += 1
        hand_over(world, slot, now, -clock.served)
        count += 1
    return count
