import numpy as np
import pytest

from state.simulation.config import ShopConfig
from state.simulation.entrance import (
    count_session,
    end_session,
    hand_over,
    is_waiting,
    reschedule,
    settle_in,
    start_session,
)
from state.simulation.sessions import ENTERING, FREE, SHOWN, WAITING, remember
from state.simulation.shop import Shop

START = 1_763_831_000_000
CONFIG = ShopConfig(shoppers=40, items=120, categories=6, explore_share=0.5, rate_memory=4)


@pytest.fixture
def world():
    return Shop(CONFIG, seed=1, start=START)._world


def started(world, shopper=3, time=START, focus=-1):
    """The slot of a new session of that shopper, and its record."""
    start_session(world, shopper, time, focus)
    slot = int(world.shoppers.rows.slot[shopper])
    return slot, world.sessions.rows[slot]


def test_a_session_takes_a_free_slot_and_the_shopper_knows_which(world):
    slot, session = started(world)
    assert slot > 0
    assert (session.state, session.shopper, session.number) == (ENTERING, 3, 1)
    assert (world.clock[0].present, world.clock[0].started) == (1, 1)
    assert world.sessions.due[slot] == START
    assert np.linalg.norm(session.intent) == pytest.approx(1.0, abs=1e-5)
    assert 0.0 < session.leave < 1.0


def test_an_ended_session_gives_its_slot_back_and_the_shopper_remembers_the_latest_items(world):
    slot, session = started(world)
    free = int(world.clock.free[0])
    for item in (1, 2, 3, 4, 5, 3):
        remember(session, item)
    end_session(world, slot)
    assert session.state == FREE
    assert world.clock.free[0] == free + 1
    assert (world.clock[0].present, world.clock[0].ended) == (0, 1)
    person = world.shoppers.rows[3]
    assert person.slot == 0
    assert person.recent.tolist() == [5, 4, 3, 2]
    again, session = started(world)
    assert again == slot
    assert session.number == 2
    assert session.seen_count == 0


def test_two_sessions_of_a_shopper_draw_different_numbers(world):
    slot, session = started(world)
    first = int(session.stream[0])
    end_session(world, slot)
    assert int(started(world)[1].stream[0]) != first


def test_a_later_session_may_come_back_to_the_latest_item(world):
    back = 0
    for shopper in range(40):
        world.shoppers.rows.recent[shopper, 0] = 5
        session = started(world, shopper)[1]
        if session.next_item == 5:
            back += 1
            assert session.category == world.catalogue.items.category[5]
            assert float(session.intent @ world.catalogue.items.vector[5]) > 0.8
    assert 2 <= back <= 20


def test_a_burst_s_category_is_what_its_shoppers_are_after(world):
    session = started(world, focus=4)[1]
    near = world.catalogue.categories.centre @ session.intent
    assert session.category == near.argmax() == 4


def test_goals_are_favourites_or_explored(world):
    favourite = 0
    for shopper in range(40):
        session = started(world, shopper)[1]
        favourite += session.category in world.shoppers.rows.favourites[shopper]
    assert 15 <= favourite < 40


def test_a_shopper_who_settles_in_wants_what_they_like(world):
    settle_in(world, 0, 9)
    session = world.sessions.rows[0]
    assert session.intent.tolist() == session.taste.tolist()
    assert session.category == world.shoppers.rows.favourites[9, 0]
    before = session.taste.copy()
    settle_in(world, 0, 10)
    settle_in(world, 0, 9)
    assert session.taste.tolist() == before.tolist()


def test_a_session_put_off_lets_others_go_first(world):
    first, _ = started(world, 1, START)
    second, _ = started(world, 2, START + 5)
    assert world.sessions.heap[0] == first
    reschedule(world, first, START + 9)
    assert world.sessions.heap[0] == second


def test_a_shown_slate_is_looked_at_right_after(world):
    slot, session = started(world)
    hand_over(world, slot, START + 100, 41)
    assert (session.state, session.slate_number) == (SHOWN, 41)
    assert world.sessions.due[slot] == START + 101


def test_only_who_waits_and_has_patience_left_is_waiting(world):
    slot, session = started(world)
    assert not is_waiting(world, 3, START)
    session.state = WAITING
    reschedule(world, slot, START + 500)
    assert is_waiting(world, 3, START + 499)
    assert not is_waiting(world, 3, START + 500)
    assert not is_waiting(world, 4, START)


def test_the_average_of_events_follows_sessions_and_stays_above_1(world):
    clock, rules = world.clock[0], world.rules[0]
    clock.session_events = 10.0
    count_session(clock, rules, 2)
    assert clock.session_events == pytest.approx(8.0)
    for _ in range(100):
        count_session(clock, rules, 0)
    assert clock.session_events == 1.0
