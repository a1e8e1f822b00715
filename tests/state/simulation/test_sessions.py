import numpy as np
import pytest

from state.simulation.sessions import (
    CART,
    FIRST_SLOTS,
    SEEN,
    clear,
    grown,
    has_seen,
    in_cart,
    kumaraswamy,
    new_sessions,
    remember,
)


@pytest.fixture
def session():
    sessions, _ = grown(new_sessions(10), 0)
    clear(sessions.rows[1], 5)
    return sessions.rows[1]


def test_slots_grow_and_slot_0_is_never_free():
    sessions, free = grown(new_sessions(10), 0)
    assert sorted(sessions.free[:free].tolist()) == list(range(1, FIRST_SLOTS))
    assert sessions.free[free - 1] == 1
    sessions.rows.shopper[:] = 9
    sessions.due[:] = 7
    larger, more = grown(sessions, 2)
    assert more == 2 + FIRST_SLOTS
    assert sorted(larger.free[2:more].tolist()) == list(range(FIRST_SLOTS, 2 * FIRST_SLOTS))
    assert larger.rows.shopper.tolist() == [9] * FIRST_SLOTS + [0] * FIRST_SLOTS
    assert larger.due[FIRST_SLOTS - 1] == 7
    assert larger.rows.slate.shape == (2 * FIRST_SLOTS, 10)


def test_a_session_remembers_distinct_items_and_only_the_latest(session):
    for item in [3, 4, 3, 5]:
        remember(session, item)
    assert session.seen_count == 3
    assert session.steps == 4
    assert session.current == 5
    assert has_seen(session, 4)
    assert not has_seen(session, 6)
    for item in range(100, 100 + SEEN):
        remember(session, item)
    assert not has_seen(session, 4)
    assert all(has_seen(session, item) for item in range(100, 100 + SEEN))


def test_the_cart_holds_what_was_put_into_it(session):
    assert not in_cart(session, 0)
    session.cart[:] = np.arange(CART)
    session.carted = 2
    assert in_cart(session, 1)
    assert not in_cart(session, 2)


def test_a_new_session_has_nothing_of_the_one_before_in_its_slot(session):
    remember(session, 8)
    session.carted = session.position = session.next_item = session.origin = session.events = 3
    clear(session, 6)
    assert session.shopper == 6
    assert session.current == session.next_item == -1
    fields = ("carted", "position", "origin", "events", "steps", "seen_count", "slate_size")
    assert [int(session[field]) for field in fields] == [0] * 7
    assert not has_seen(session, 8)


def test_kumaraswamy_quantiles_invert_its_distribution():
    a, b = 1.3, 5.0
    for u in (0.0, 0.1, 0.5, 0.9, 1.0):
        x = kumaraswamy(u, a, b)
        assert 0.0 <= x <= 1.0
        assert 1.0 - (1.0 - x**a) ** b == pytest.approx(u)
