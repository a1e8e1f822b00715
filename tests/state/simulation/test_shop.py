import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.event import EventRules, Origin
from state.parse import event_fields, parse_event
from state.simulation.actions import ADD_TO_CART, CLICK, IMPRESSION, PURCHASE, VIEW, event_count, joined
from state.simulation.config import ShopConfig, demo_config
from state.simulation.sessions import CART
from state.simulation.shop import NAMES, OUT_ROWS, Shop

START = 1_763_831_000_000
SMALL = ShopConfig(
    shoppers=600, items=240, categories=12, brands=6, events_per_second=300.0, sessions_at_start=100,
    think_seconds=1.0, think_spread=0.6, bias=-7.0, cart_bias=-2.5, leave_a=2.0, stock_mean=2,
    restock_seconds=5.0, news_per_day=86_400.0, price_changes_per_day=86_400.0, burst_seconds=5.0,
    bursts_per_day=4_000.0,
)  # fmt: skip
SECONDS = 20


def lived(config=SMALL, seed=1, seconds=SECONDS, step=500):
    """A shop that served itself for a while, and all that happened."""
    shop = Shop(config, seed=seed, start=START)
    parts = []
    for now in range(START, START + 1_000 * seconds + 1, step):
        parts.append(shop.advance(now))
        shop.serve(now)
    return shop, joined(parts)


@pytest.fixture(scope="module")
def history():
    return lived()


def test_the_same_seed_gives_the_same_actions_and_another_others(history):
    again, other = lived()[1], lived(seed=2)[1]
    assert all((a == b).all() for a, b in zip(history[1], again, strict=True))
    assert history[1].time.tolist() != other.time.tolist()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 4_000), max_size=12))
def test_how_time_is_cut_into_calls_makes_no_difference(steps):
    whole = Shop(SMALL, seed=3, start=START).advance(START + 4_000)
    shop = Shop(SMALL, seed=3, start=START)
    parts = joined([shop.advance(START + now) for now in [*sorted(steps), 4_000]])
    assert whole.time.size > 50
    assert all((a == b).all() for a, b in zip(whole, parts, strict=True))


def test_actions_come_in_order_of_time_and_are_all_of_the_known_types(history):
    _, actions = history
    assert (np.diff(actions.time) >= 0).all()
    assert set(actions.type.tolist()) == {IMPRESSION, VIEW, CLICK, ADD_TO_CART, PURCHASE}
    assert actions.time[0] >= START
    assert actions.time[-1] <= START + 1_000 * SECONDS


def test_events_of_a_session_are_numbered_and_later_each_time(history):
    _, actions = history
    of = {}
    for row in np.flatnonzero(actions.line == 0):
        of.setdefault((actions.shopper[row], actions.session[row]), []).append(row)
    assert len(of) > 50
    for rows in of.values():
        assert actions.number[rows].tolist() == list(range(1, len(rows) + 1))
        assert (np.diff(actions.time[rows]) > 0).all()


def test_every_cart_follows_a_look_at_the_item_and_every_purchase_a_cart(history):
    _, actions = history
    looked, carted = set(), set()
    for row in range(actions.time.size):
        key = (actions.shopper[row], actions.session[row], actions.item[row])
        kind = actions.type[row]
        if kind in (VIEW, CLICK):
            looked.add(key)
        elif kind == ADD_TO_CART:
            assert key in looked
            assert key not in carted
            carted.add(key)
        elif kind == PURCHASE:
            assert key in carted
            carted.remove(key)


def test_every_click_is_on_the_slate_seen_just_before(history):
    _, actions = history
    latest = {}
    clicks = 0
    for row in range(actions.time.size):
        shopper = actions.shopper[row]
        if actions.type[row] == IMPRESSION:
            latest[shopper] = actions.slate[row]
        elif actions.type[row] == CLICK:
            clicks += 1
            assert actions.slate[row] == latest.pop(shopper)
            assert 1 <= actions.position[row] <= SMALL.slots
        else:
            latest.pop(shopper, None)
    assert clicks > 50


def test_stock_is_never_negative_and_what_sells_out_comes_back(history):
    shop, actions = history
    items = shop.catalogue.items
    assert items.stock.min() >= 0
    assert ((items.stock > 0) | (items.available == 0)).all()
    assert shop.catalogue.counters[0].sold_out > 0
    assert shop.catalogue.counters[0].restocked > 0
    assert actions.quantity.min() >= 1


def test_the_tally_counts_what_was_handed_over(history):
    shop, actions = history
    tally = shop.tally()
    kinds = np.bincount(actions.type[actions.line == 0], minlength=6)
    assert [tally.events[name] for name in ("impression", "view", "click", "add_to_cart", "purchase")] == [
        kinds[code] for code in (IMPRESSION, VIEW, CLICK, ADD_TO_CART, PURCHASE)
    ]
    assert tally.slates_seen == tally.events["impression"]
    assert tally.sessions_started == tally.sessions_ended + tally.sessions_present
    assert event_count(actions) == sum(tally.events.values())


def test_every_event_is_valid_and_survives_the_wire(history):
    shop, actions = history
    events = shop.events(actions)
    assert len(events) == event_count(actions)
    assert len({event.event_id for event in events}) == len(events)
    for offset, event in enumerate(events):
        origin = Origin("events", 0, offset, event.time)
        assert parse_event(event_fields(event), origin, EventRules()) == event


def test_an_order_is_worth_its_lines(history):
    shop, actions = history
    orders = [event for event in shop.events(actions) if event.type == "purchase"]
    assert any(len(order.items) > 1 for order in orders)
    for order in orders:
        assert 1 <= len(order.items) <= CART
        assert order.value == pytest.approx(sum(item.price * item.quantity for item in order.items))


def test_slots_are_used_again():
    shop, _ = lived(seconds=60)
    tally = shop.tally()
    assert tally.sessions_ended > 300
    assert shop._world.sessions.due.size == 256
    used = shop._world.sessions.rows.state > 0
    assert used.sum() == tally.sessions_present
    free = shop._world.sessions.free[: shop._world.clock.free[0]]
    assert sorted([*free.tolist(), *np.flatnonzero(used).tolist()]) == list(range(1, 256))


def test_more_sessions_than_slots_and_more_rows_than_the_buffer_are_no_loss():
    config = ShopConfig(
        shoppers=20_000, items=200, looks_share=0.0, think_seconds=12.0, events_per_second=4_000.0
    )
    shop = Shop(config, seed=1, start=START)
    actions = shop.advance(START + 40_000)
    assert actions.time.size > OUT_ROWS
    assert shop.tally().sessions_present > 256
    assert event_count(actions) == sum(shop.tally().events.values())
    assert (np.diff(actions.time) >= 0).all()


def test_nobody_who_ignores_slates_ever_sees_one():
    shop, actions = lived(SMALL, seconds=10)
    ignoring = np.flatnonzero(shop.shoppers.rows.looks == 0)
    of_slates = np.isin(actions.type, [IMPRESSION, CLICK])
    assert np.isin(actions.shopper, ignoring).any()
    assert not np.isin(actions.shopper[of_slates], ignoring).any()


def steady(**fields):
    """Endless stock and a rate that does not learn: what remains between shoppers is nothing."""
    fields = {"stock_mean": 10**6, "rate_memory": 0, "shoppers": 60, "session_events": 12.0, **fields}
    return ShopConfig(**{**{f: getattr(SMALL, f) for f in SMALL.__struct_fields__}, **fields})


def shown_to(choose, seconds=15):
    """Actions of each shopper where `choose(shopper)` says which of two kinds of slates they are shown."""
    shop = Shop(steady(), seed=5, start=START)
    everybody = np.arange(60, dtype=np.int32)
    kinds = np.stack([np.arange(10), np.arange(100, 110)]).astype(np.int32)
    slates = kinds[[choose(shopper) for shopper in everybody]]
    parts = []
    for now in range(START, START + 1_000 * seconds, 50):
        parts.append(shop.advance(now))
        shop.show(everybody, slates, now, ["slate"] * 60)
    actions = joined(parts)._replace(slate=np.zeros(0))
    rows = np.stack([column for column in actions if column.size], axis=1)
    return {shopper: rows[actions.shopper == shopper].tolist() for shopper in everybody.tolist()}


def test_what_a_shopper_does_depends_on_that_shopper_s_slates_only():
    first = shown_to(lambda _: 0)
    second = shown_to(lambda shopper: shopper % 2)
    assert sum(map(len, first.values())) > 500
    assert all(first[shopper] == second[shopper] for shopper in range(0, 60, 2))
    assert any(first[shopper] != second[shopper] for shopper in range(1, 60, 2))


def test_a_click_names_the_slate_that_was_shown():
    shop = Shop(steady(bias=50.0), seed=5, start=START)
    everybody = np.arange(60, dtype=np.int32)
    slates = np.tile(np.arange(10, dtype=np.int32), (60, 1))
    events = []
    for number, now in enumerate(range(START, START + 10_000, 50)):
        events += shop.events(shop.advance(now))
        shop.show(everybody, slates, now, [f"s-{number}-{shopper}" for shopper in range(60)])
    clicks = [event for event in events if event.type == "click"]
    named = {event.slate_id: event.user_id for event in events if event.type == "impression"}
    assert len(clicks) > 50
    for click in clicks:
        assert named[click.slate_id] == click.user_id
        assert click.slate_id.endswith(click.user_id.removeprefix("shopper"))
        assert click.items[0].item_id == shop.item_ids[click.position - 1]


def test_slates_long_past_are_named_no_more():
    shop, _ = lived(seconds=1)
    shop._clock.shown = NAMES + 5
    shop._names[5] = "new"
    assert shop._slate_name(NAMES + 5) == "new"
    assert shop._slate_name(5) is None
    assert shop._slate_name(-3) == "popular-3"


def test_show_refuses_what_does_not_fit():
    shop, _ = lived(seconds=1)
    one = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="as many slates"):
        shop.show(one, np.zeros((2, 3), np.int32), shop.now, ["a"])
    with pytest.raises(ValueError, match="as many slates"):
        shop.show(one, np.zeros((1, 3), np.int32), shop.now, [])
    with pytest.raises(ValueError, match="does not go back"):
        shop.show(one, np.zeros((1, 3), np.int32), shop.now - 1, ["a"])
    with pytest.raises(ValueError, match="does not go back"):
        shop.advance(shop.now - 1)


def test_the_catalogue_is_told_once_and_then_what_changed():
    shop = Shop(SMALL, seed=1, start=START)
    first = shop.changes(START)
    assert len(first) == int(shop.catalogue.items.available.sum()) == 240 - shop.catalogue.news.size
    assert shop.changes(START) == []
    known = {item.item_id: item for item in first}
    for now in range(START, START + 15_000, 500):
        shop.advance(now)
        shop.serve(now)
        for item in shop.changes(now):
            known[item.item_id] = item
    items = shop.catalogue.items
    for index, item_id in enumerate(shop.item_ids):
        if item_id in known:
            assert known[item_id].available == bool(items.available[index])
            assert known[item_id].price == pytest.approx(float(items.price[index]), abs=0.006)
        else:
            assert not items.available[index]
    assert len(known) > len(first)


def test_shoppers_in_and_out_of_the_shop_can_be_asked():
    shop, _ = lived(seconds=5)
    slots = shop.shoppers.rows.slot
    for shopper in (int(np.flatnonzero(slots > 0)[0]), int(np.flatnonzero(slots == 0)[0])):
        best = shop.best_slate(shopper, 6)
        assert best.size == len(set(best.tolist())) == 6
        chance = shop.click_probability(shopper, best)
        assert 0.0 < shop.click_probability(shopper, best[::-1]) <= chance < 1.0
        assert 0.0 <= shop.purchase_probability(shopper, int(best[0])) <= 1.0
    assert (shop.shoppers.rows.slot == slots).all()


def test_asking_changes_nothing():
    asked, left = Shop(SMALL, seed=8, start=START), Shop(SMALL, seed=8, start=START)
    for now in range(START, START + 5_000, 500):
        a, b = asked.advance(now), left.advance(now)
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
        for shopper in range(20):
            asked.best_slate(shopper, 10)


def test_everything_is_alive_in_the_demo_within_a_minute():
    shop = Shop(demo_config(200.0), seed=1, start=START)
    bursts = set()
    for now in range(START, START + 60_000, 500):
        shop.advance(now)
        shop.serve(now)
        bursts.add(shop.tally().burst)
    counters = shop.catalogue.counters[0]
    assert counters.news > 30
    assert counters.sold_out > 3
    assert counters.restocked > 0
    assert len(bursts) > 1
    assert all(shop.tally().events[name] for name in ("impression", "view", "click", "purchase"))
