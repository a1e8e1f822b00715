import numpy as np
import pytest

from state.simulation.actions import CLICK
from state.simulation.config import ShopConfig
from state.simulation.shop import Shop
from state.simulation.world import DERIVED, NEVER, RULES, SAME, emit, new_clock, new_rules

START = 1_763_831_000_000
CONFIG = ShopConfig(shoppers=100, items=200, categories=10)


def test_the_kernels_take_most_parameters_as_they_are():
    rules = new_rules(CONFIG)[0]
    assert set(RULES.names) == {*SAME, *DERIVED}
    assert {name: rules[name] for name in SAME} == {name: getattr(CONFIG, name) for name in SAME}


def test_times_are_turned_into_milliseconds():
    rules = new_rules(ShopConfig(think_seconds=2.0, restock_seconds=3.0, rhythm_seconds=5.0, rate_memory=4))[
        0
    ]
    assert (rules.think_ms, rules.restock_ms, rules.rhythm_ms) == (2000.0, 3000, 5000.0)
    assert rules.rate_gain == 0.25
    assert new_rules(ShopConfig(rate_memory=0))[0].rate_gain == 0.0


def test_bursts_are_allowed_for_in_the_rate():
    calm = new_rules(ShopConfig(bursts_per_day=0.0, events_per_second=100.0))[0]
    assert calm.events_per_ms == pytest.approx(0.1)
    # Bursts of 100 s with factors 2 to 4, so 3, each 100 s after the last: twice the rate on average.
    wild = new_rules(
        ShopConfig(bursts_per_day=864.0, burst_seconds=100.0, burst_factor=4.0, events_per_second=100.0)
    )[0]
    assert wild.events_per_ms == pytest.approx(0.1 / 2.0)
    assert (wild.burst_least, wild.burst_most) == (2.0, 4.0)


def test_the_clock_starts_before_anything_has_happened():
    clock = new_clock(CONFIG, START)[0]
    assert (clock.now, clock.tick, clock.burst_category) == (START - 1, START, -1)
    assert clock.arrival == NEVER
    assert clock.types.sum() == clock.rows == clock.present == 0


def test_emitting_writes_one_row_and_counts_events_but_not_lines():
    world = Shop(CONFIG, seed=1, start=START)._world
    session = world.sessions.rows[3]
    session.shopper, session.number, session.time = 17, 2, START + 5
    world.out["item"][:3] = world.out["slate"][:3] = 99
    for line in (0, 1):
        row = emit(world.out, world.clock[0], session, CLICK, line)
        assert (row["item"], row.slate, row.position, row.quantity, row.price) == (-1, 0, 0, 1, 0.0)
    assert world.clock[0].rows == 2
    assert world.clock[0].types[CLICK] == 1
    rows = np.asarray(world.out)[:2]
    assert rows["time"].tolist() == [START + 5] * 2
    assert rows["shopper"].tolist() == [17, 17]
    assert rows["session"].tolist() == [2, 2]
    assert rows["number"].tolist() == [1, 1]
    assert rows["line"].tolist() == [0, 1]
