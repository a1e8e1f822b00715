"""When sessions begin: a Poisson process whose rate follows the time of day, bursts and what came of it.

The rate is constant for a tick. At a tick's end the next arrival is drawn anew, which changes nothing: a
Poisson process has no memory.
"""

import math
from typing import Final

from state.kernel import kernel
from state.simulation.behaviour import act
from state.simulation.catalogue import renew, reprice
from state.simulation.draws import draw, draw_exponential, draw_from
from state.simulation.entrance import count_session, start_session
from state.simulation.sessions import CART
from state.simulation.world import ARRIVALS, BURSTS, NEVER, PRICES, World

TICK_MS: Final = 100

# What `run` stopped for.
DONE: Final = 0
FULL: Final = 1
"""The rows must be handed over first."""
SHORT: Final = 2
"""There must be more slots first."""


@kernel
def session_rate(world: World, time: int) -> float:
    """Sessions per millisecond that begin at `time`."""
    rules, clock = world.rules[0], world.clock[0]
    phase = time / rules.rhythm_ms - rules.rhythm_peak
    rhythm = 1.0 + rules.rhythm_amplitude * math.cos(2.0 * math.pi * phase)
    rate = rules.events_per_ms / clock.session_events * rhythm * clock.burst
    if time - clock.start < rules.think_ms:
        rate += rules.at_start
    return float(rate)


@kernel
def _begin_tick(world: World) -> None:
    """What happens to the shop itself: news, restocks, prices, bursts, the rate."""
    clock = world.clock[0]
    time = clock.tick
    clock.tick = time + TICK_MS
    renew(world.catalogue, time)
    changes = world.rules[0].price_changes * TICK_MS
    while changes > 0.0:
        if draw(world.streams, PRICES) < changes:
            reprice(world.catalogue, world.streams, PRICES)
        changes -= 1.0
    _begin_burst(world, time)
    clock.rate = session_rate(world, time)
    clock.arrival = time + draw_exponential(world.streams, ARRIVALS) / clock.rate


@kernel
def _begin_burst(world: World, time: int) -> None:
    clock, rules, streams = world.clock[0], world.rules[0], world.streams
    if time < clock.burst_end:
        return
    clock.burst_category = -1
    clock.burst = 1.0
    if draw(streams, BURSTS) < rules.bursts * TICK_MS:
        clock.burst_end = time + int(rules.burst_ms * (0.5 + draw(streams, BURSTS)))
        size = world.catalogue.size
        clock.burst_category = draw_from(streams, BURSTS, size, 0, size.size)
        clock.burst = rules.burst_least + (rules.burst_most - rules.burst_least) * draw(streams, BURSTS)


@kernel
def _arrive(world: World) -> None:
    """Let the next shopper in, unless that one is in the shop already."""
    clock, streams = world.clock[0], world.streams
    time = math.ceil(clock.arrival)
    clock.arrival += draw_exponential(streams, ARRIVALS) / clock.rate
    cumulative = world.shoppers.cumulative
    shopper = draw_from(streams, ARRIVALS, cumulative, 0, cumulative.size)
    focused = draw(streams, ARRIVALS) < world.rules[0].burst_focus
    if world.shoppers.rows[shopper].slot > 0:
        clock.turned_away += 1
        count_session(clock, world.rules[0], 0)
        return
    start_session(world, shopper, time, clock.burst_category if focused else -1)


@kernel
def run(world: World, now: int) -> int:
    """Let everything happen up to `now`, in order of time; returns `DONE`, `FULL` or `SHORT`."""
    clock, sessions = world.clock[0], world.sessions
    while clock.rows + CART <= world.out.size:
        due = sessions.due[sessions.heap[0]] if clock.present > 0 else NEVER
        if min(float(clock.tick), clock.arrival, float(due)) > now:
            clock.now = now
            return DONE
        if clock.tick <= due and clock.tick <= clock.arrival:
            _begin_tick(world)
        elif due < clock.arrival:
            act(world, sessions.heap[0])
        elif clock.free == 0:
            return SHORT
        else:
            _arrive(world)
    return FULL
