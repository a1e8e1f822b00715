import numpy as np
import pytest

from state.simulation.arrivals import DONE, FULL, SHORT, run, session_rate
from state.simulation.config import ShopConfig
from state.simulation.shop import Shop

START = 1_763_856_000_000  # midnight UTC
MINUTE, HOUR = 60_000, 3_600_000
CALM = {"rhythm_amplitude": 0.0, "bursts_per_day": 0.0, "rate_memory": 0, "looks_share": 0.0}


def shop_of(seed=1, **fields):
    fields = {**CALM, "shoppers": 200_000, "items": 200, "categories": 10, **fields}
    return Shop(ShopConfig(**fields), seed=seed, start=START)


def started(shop):
    tally = shop.tally()
    return tally.sessions_started + tally.turned_away


def test_arrivals_have_the_mean_and_the_variance_of_a_poisson_process():
    shop = shop_of(events_per_second=160.0, session_events=16.0)
    counts = []
    for second in range(1, 301):
        before = started(shop)
        shop.advance(START + 1_000 * second - 1)
        counts.append(started(shop) - before)
    mean = 10.0
    assert abs(np.mean(counts) - mean) < 4 * (mean / 300) ** 0.5
    assert abs(np.var(counts) / mean - 1.0) < 4 * (2 / 300) ** 0.5


def test_the_rate_follows_the_time_of_day():
    shop = shop_of(rhythm_amplitude=0.5, rhythm_peak=0.75)
    rates = [session_rate(shop._world, START + hour * HOUR) for hour in range(24)]
    assert int(np.argmax(rates)) == 18
    assert int(np.argmin(rates)) == 6
    assert max(rates) / min(rates) == pytest.approx(3.0)
    assert np.mean(rates) == pytest.approx(50.0 / 1000.0 / 16.0)


def test_the_rate_corrects_itself_to_the_events_asked_for():
    shop = shop_of(
        events_per_second=100.0,
        session_events=3.0,
        rate_memory=1_000,
        shoppers=20_000,
        think_seconds=12.0,
        rhythm_amplitude=0.0,
    )
    shop.advance(START + 20 * MINUTE)
    before = sum(shop.tally().events.values())
    shop.advance(START + 50 * MINUTE)
    rate = (sum(shop.tally().events.values()) - before) / 1_800
    assert rate == pytest.approx(100.0, rel=0.15)


def test_bursts_come_and_go_and_are_about_one_category():
    shop = shop_of(
        bursts_per_day=720.0, burst_seconds=60.0, burst_factor=4.0, burst_focus=1.0, explore_share=0.0
    )
    about = []
    rates = {True: [], False: []}
    for second in range(1_800):
        shop.advance(START + 1_000 * second)
        category = shop.tally().burst
        about.append(category)
        rates[category >= 0].append(session_rate(shop._world, shop.now))
    assert 0.1 < np.mean(np.array(about) >= 0) < 0.65
    assert len(set(about)) > 3
    assert min(rates[True]) >= 2.0 * max(rates[False]) * (1 - 1e-9)
    assert max(rates[True]) <= 4.0 * max(rates[False])


def test_a_shop_can_begin_with_shoppers_in_it():
    shop = shop_of(sessions_at_start=300, events_per_second=1.0, think_seconds=12.0)
    shop.advance(START + 12_000)
    assert abs(started(shop) - 300) < 4 * 300**0.5


def test_who_is_in_the_shop_is_turned_away_and_counts_for_nothing():
    shop = shop_of(shoppers=3, events_per_second=200.0)
    shop.advance(START + MINUTE)
    tally = shop.tally()
    assert tally.turned_away > 100
    assert tally.sessions_present <= 3
    rows = shop.shoppers.rows
    assert rows.sessions.sum() == tally.sessions_started
    assert (rows.slot > 0).sum() == tally.sessions_present


def test_the_run_stops_for_slots_and_for_rows_and_goes_on_after():
    shop = shop_of(events_per_second=2_000.0)
    world = shop._world
    world.clock.free = 0
    assert run(world, START + 1_000) == SHORT
    shop._grow()
    world = shop._world
    world.clock.rows = world.out.size
    assert run(world, START + 1_000) == FULL
    world.clock.rows = 0
    stops = [run(world, START + 1_000)]
    while stops[-1] == SHORT:
        shop._grow()
        stops.append(run(shop._world, START + 1_000))
    assert stops[-1] == DONE
    assert shop.now == START + 1_000
