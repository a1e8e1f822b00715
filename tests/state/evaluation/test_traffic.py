"""Statistics of streams: hand-made streams with known answers, and a slow definition of the fold."""

from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.evaluation.distributions import Spread
from state.evaluation.traffic import GAP_MS, MAX_SEEN, MAX_SLATES, Traffic, traffic
from state.event import Event, EventItem
from stream.event_file import EventFile

DATA = Path(__file__).parents[3].parent / "shared" / "data"
SECOND = 1000


def did(
    time: float, items: str = "a", kind: str = "view", *, user: str = "u", session: str | None = None, **more
) -> Event:
    """One event about these items, one letter each, at so many seconds."""
    return Event(
        event_id=f"{user}-{time}-{kind}-{items}",
        type=kind,
        user_id=user,
        session_id=session,
        time=int(time * SECOND),
        items=tuple(EventItem(item) for item in items),
        **more,
    )


def walk(items: str, **more) -> Traffic:
    """A session of views, ten seconds apart."""
    return traffic(did(10 * n, item, **more) for n, item in enumerate(items))


def test_nothing_has_no_statistics_and_is_no_error():
    found = traffic([])
    assert (found.events, found.seconds, found.types) == (0, 0.0, {})
    assert found.sessions.one_event is None
    assert found.funnel.conversion is None
    assert found.slates.clicked is None


def test_half_an_hour_of_silence_ends_a_session():
    gap = GAP_MS / SECOND
    found = traffic([did(0), did(gap), did(2 * gap + 0.001)])
    assert found.sessions.length == Spread(2, 1.5, 1.0, 2.0, 2.0)
    assert found.sessions.one_event == 0.5
    assert found.sessions.duration.mean == gap
    assert found.sessions.per_user.mean == 2


def test_the_shops_session_id_decides_over_the_gap():
    found = traffic([did(0, session="s"), did(9999, session="s"), did(9999, session="t")])
    assert found.sessions.length.n == 2
    assert found.sessions.gap == Spread(1, 9999.0, 9999.0, 9999.0, 9999.0)


def test_sessions_of_users_that_interleave_are_kept_apart():
    found = traffic([did(0), did(1, user="v"), did(5), did(7, user="v")])
    assert found.sessions.length == Spread(2, 2.0, 2.0, 2.0, 2.0)
    assert found.sessions.gap.mean == pytest.approx(5.5)
    assert found.users.n == 2


def test_repeats_are_counted_per_session_and_to_the_step_before():
    found = walk("abaac").repeats
    assert found.in_session == pytest.approx(2 / 5)
    assert found.next_seen == pytest.approx(2 / 4)
    assert found.next_same == pytest.approx(1 / 4)
    assert found.across_sessions is None


def test_a_cart_is_a_repeat_but_no_step():
    found = traffic([did(0, "a"), did(1, "a", "add_to_cart"), did(2, "b")])
    assert found.repeats.in_session == pytest.approx(1 / 3)
    assert found.repeats.next_seen == 0.0
    assert found.funnel.carts_per_step == pytest.approx(1 / 2)


def test_items_of_earlier_sessions_count_as_returns_once_a_session():
    days = [
        did(86_400 * day + n, item)
        for day, items in enumerate(("ab", "bbc", "ac"))
        for n, item in enumerate(items)
    ]
    found = traffic(days).repeats
    assert found.across_sessions == pytest.approx(3 / 4)


def test_category_stickiness_looks_at_steps_to_another_item_of_known_category():
    stream = [did(10 * n, item) for n, item in enumerate("aabxc")]
    found = traffic(stream, {"a": "tents", "b": "tents", "c": "lamps"})
    assert found.repeats.same_category == 1.0
    assert found.sessions.categories.mean == 2
    assert found.categories.n == 2
    found = traffic(stream, {"a": "tents", "b": "tents", "c": "lamps", "x": "lamps"})
    assert found.repeats.same_category == pytest.approx(2 / 3)


def test_the_funnel_counts_lines_purchases_and_what_they_are_worth():
    lines = (EventItem("a", 2, 10.0), EventItem("b", 1, 5.0))
    purchase = Event(event_id="p", type="purchase", user_id="u", time=3 * SECOND, items=lines, value=99.0)
    found = traffic([did(0, "a"), did(1, "b"), did(2, "a", "add_to_cart"), purchase, did(0, "c", user="v")])
    assert found.funnel.bought_per_step == pytest.approx(2 / 3)
    assert found.funnel.items_per_purchase == 2
    assert found.funnel.conversion == 0.5
    assert found.funnel.value == 25.0
    assert found.funnel.value_per_session == 12.5


def test_an_order_in_several_events_is_one_purchase():
    parts = [
        Event(
            event_id=str(n),
            type="purchase",
            user_id="u",
            time=n,
            items=(EventItem(str(n), 1, 2.0),),
            order_id="o",
        )
        for n in range(3)
    ]
    found = traffic(parts).funnel
    assert (found.purchases_per_session, found.items_per_purchase, found.value) == (1, 3, 6.0)


def test_a_purchase_without_prices_is_worth_what_the_event_says_or_nothing():
    assert traffic([did(0, kind="purchase", value=7.0)]).funnel.value == 7.0
    assert traffic([did(0, kind="purchase")]).funnel.value is None


def test_impressions_and_searches_are_events_but_no_part_of_a_session():
    found = traffic(
        [did(0, kind="impression"), did(1, "", "search"), did(GAP_MS), did(2 * GAP_MS, "", "search")]
    )
    assert found.events == 4
    assert found.sessions.length == Spread(1, 1.0, 1.0, 1.0, 1.0)
    assert found.types == {"search": 0.5, "impression": 0.25, "view": 0.25}


def test_click_through_is_counted_by_position_and_by_slate():
    shown = [did(n, "abc", "impression", slate_id=f"s{n}") for n in range(4)]
    clicks = [
        did(9, "a", "click", slate_id="s0", position=1),
        did(10, "c", "click", slate_id="s0", position=3),
    ]
    stray = [did(11, "a", "click", slate_id="never shown", position=1), did(12, "b")]
    found = traffic([*shown, *clicks, *stray]).slates
    assert found.impressions_at == (4, 4, 4)
    assert found.clicks_at == (2, 0, 1)
    assert (found.shown, found.clicked) == (4, 0.25)
    assert found.step_share == pytest.approx(3 / 4)


def test_a_slate_shown_without_its_items_counts_at_every_position_clicked():
    shown = [did(n, "", "impression", slate_id=f"s{n}") for n in range(2)]
    found = traffic([*shown, did(5, "a", "click", slate_id="s1", position=2)]).slates
    assert found.impressions_at == (2, 2)
    assert found.clicks_at == (0, 1)


def test_impressions_of_single_items_count_at_their_position():
    rows = [did(n, "a", "impression", position=1 + n % 3) for n in range(6)]
    found = traffic([*rows, did(9, "a", "click", position=3)]).slates
    assert found.impressions_at == (2, 2, 2)
    assert found.clicks_at == (0, 0, 1)
    assert (found.shown, found.clicked) == (0, None)


def test_the_memory_of_a_user_is_bounded():
    items = [*range(MAX_SEEN + 1), 0]
    views = [
        Event(event_id=str(n), type="view", user_id="u", time=n, items=(EventItem(str(item)),))
        for n, item in enumerate(items)
    ]
    assert traffic(views).repeats.in_session == 0.0
    shown = [did(n, "a", "impression", slate_id=str(n)) for n in range(MAX_SLATES + 1)]
    late = [did(99, "a", "click", slate_id="0"), did(99, "a", "click", slate_id="1")]
    assert traffic([*shown, *late]).slates.clicked == pytest.approx(1 / (MAX_SLATES + 1))


STREAMS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from("uv"),
        st.sampled_from("abcd"),
        st.sampled_from(["view", "add_to_cart"]),
    ),
    max_size=60,
)


@given(STREAMS)
def test_the_fold_gives_what_a_look_at_the_whole_list_gives(steps):
    time, stream = 0, []
    for minutes, user, item, kind in steps:
        time += minutes * 60
        stream.append(did(time, item, kind, user=user))
    sessions = []
    for _, mine in groupby(sorted(stream, key=lambda event: event.user_id), lambda event: event.user_id):
        for number, event in enumerate(mine):
            if not number or event.time - sessions[-1][-1].time > GAP_MS:
                sessions.append([])
            sessions[-1].append(event)
    found = traffic(stream)
    assert found.sessions.length.n == len(sessions)
    if not sessions:
        return
    seen = [len(session) - len({event.items[0].item_id for event in session}) for session in sessions]
    gaps = [b.time - a.time for session in sessions for a, b in pairwise(session)]
    assert found.sessions.length.mean == pytest.approx(len(stream) / len(sessions))
    assert found.sessions.one_event == pytest.approx(sum(len(each) == 1 for each in sessions) / len(sessions))
    assert found.repeats.in_session == pytest.approx(sum(seen) / len(stream))
    assert found.sessions.gap.mean * SECOND * max(1, len(gaps)) == pytest.approx(sum(gaps))


@given(STREAMS, st.randoms(use_true_random=False))
def test_how_users_interleave_does_not_matter(steps, random):
    stream = [
        did(60 * n + minutes, item, kind, user=user) for n, (minutes, user, item, kind) in enumerate(steps)
    ]
    by_user = {user: [event for event in stream if event.user_id == user] for user in "uv"}
    order = [event.user_id for event in stream]
    random.shuffle(order)
    assert traffic(by_user[user].pop(0) for user in order) == traffic(stream)


@pytest.mark.data
def test_real_taobao_sessions_are_short_and_a_third_has_one_event():
    path = DATA / "taobao" / "users_8day.csv.gz"
    if not path.is_file():
        pytest.skip("../shared/data/taobao is absent: statistics of a REAL log are NOT checked")
    found = traffic(EventFile(path, "taobao"))
    assert found.events == 73_063
    assert found.sessions.length.n == 12_228
    assert found.sessions.length.median == 3
    assert found.sessions.one_event == pytest.approx(0.3099, abs=1e-4)
    assert found.repeats.next_seen == pytest.approx(0.1427, abs=1e-4)
