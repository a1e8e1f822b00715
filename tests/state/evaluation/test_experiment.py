import random
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.evaluation.experiment import MAX_SESSIONS, MAX_SLATES, Experiment
from state.event import Event, EventItem
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.profile import MAX_SEEN, NEW_PROFILE
from state.session import SessionRules, fold_event
from state.slate import Slate, SlateItem, Trigger

T = 1_763_831_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
ITEMS = (EventItem("i1"),)


def slate(user, slate_id, *, policy=Softmax.name, time=T, items=1, tenant="default"):
    return Slate(
        slate_id=slate_id,
        user_id=user,
        tenant=tenant,
        scenario="feed",
        time=time,
        trigger=Trigger("e", time, "events", 0, 0),
        policy=policy,
        policy_version="v",
        seed=1,
        candidates=items,
        candidates_hash="",
        items=tuple(SlateItem(f"i{n}", n + 1, 1.0, 1.0, ()) for n in range(items)),
    )


def event(user, kind, number, *, time=T, items=ITEMS, **fields):
    return Event(event_id=f"e{number}", type=kind, user_id=user, time=time, items=items, **fields)


def fold(*records, **window):
    """The result over slates and events in this order."""
    experiment = Experiment(**window)
    for record in records:
        if isinstance(record, Slate):
            experiment.add_slate(record)
        else:
            experiment.add_event(record)
    return experiment.compare()


def shown(user, slate_id, *, number=None, clicks=0, time=T, policy=Softmax.name):
    """A slate, its impression and clicks on it."""
    name = number or f"{user}-{slate_id}"
    return [
        slate(user, slate_id, policy=policy, time=time),
        event(user, "impression", f"{name}-seen", slate_id=slate_id, items=(), time=time),
        *(event(user, "click", f"{name}-{n}", slate_id=slate_id, time=time + n) for n in range(clicks)),
    ]


# CTR -------------------------------------------------------------------------------------------------


def test_ctr_is_shown_slates_with_a_click_per_shown_slate_of_each_group():
    learned = shown("ann", "s1", clicks=1) + shown("ann", "s2") + shown("bob", "s3", clicks=1)
    control = shown("eve", "s4", policy=Uniform.name) + shown("eve", "s5", clicks=1, policy=Uniform.name)
    found = fold(*learned, *control)
    assert (found.ctr.learned, found.ctr.random) == (2 / 3, 1 / 2)
    assert found.ctr.lift == pytest.approx(1 / 3)
    assert (found.learned_users, found.random_users) == (2, 1)
    assert found.ctr_per == "impressions"


def test_a_slate_counts_once_however_often_it_is_seen_and_clicked():
    seen = [event("ann", "impression", n, slate_id="s1") for n in range(3)]
    clicks = [event("ann", "click", f"c{n}", slate_id="s1") for n in range(3)]
    assert fold(slate("ann", "s1"), *seen, *clicks).ctr.learned == 1.0
    assert fold(slate("ann", "s1"), *clicks, *seen).ctr.learned == 1.0


def test_a_published_slate_that_nobody_saw_is_no_part_of_it():
    records = [*shown("ann", "s1", clicks=1), slate("ann", "s2"), slate("ann", "s3")]
    assert fold(*records).ctr.learned == 1.0


def test_a_click_on_a_slate_that_was_not_shown_is_no_part_of_it():
    records = [*shown("ann", "s1"), slate("ann", "s2"), event("ann", "click", 1, slate_id="s2")]
    assert fold(*records).ctr.learned == 0.0


def test_a_click_that_names_no_slate_is_counted_apart():
    found = fold(*shown("ann", "s1"), event("ann", "click", 1))
    assert (found.ctr.learned, found.unnamed_clicks) == (0.0, 1)


def test_without_impressions_published_slates_are_what_was_shown_and_it_says_so():
    records = [slate("ann", f"s{n}") for n in range(4)] + [event("ann", "click", 1, slate_id="s2")]
    found = fold(*records)
    assert (found.ctr.learned, found.ctr_per) == (1 / 4, "slates")
    assert fold(*records, event("ann", "impression", 2)).ctr_per == "slates"


def test_an_empty_slate_and_one_published_twice_show_nothing_more():
    records = [slate("ann", "s1"), slate("ann", "s1"), slate("ann", "s2", items=0)]
    assert fold(*records, event("ann", "click", 1, slate_id="s1")).ctr.learned == 1.0


# Groups ----------------------------------------------------------------------------------------------


def test_whoever_is_not_drawn_at_random_is_learned():
    records = shown("ann", "s1", policy="epsilon_greedy") + shown("bob", "s2", policy="linucb")
    assert fold(*records).learned_users == 2


def test_a_user_with_slates_of_both_is_left_out_and_counted():
    records = shown("ann", "s1", clicks=1) + shown("ann", "s2", policy=Uniform.name)
    found = fold(*records)
    assert (found.mixed_users, found.learned_users, found.random_users) == (1, 0, 0)
    assert (found.ctr.learned, found.ctr.random) == (None, None)


def test_a_user_without_a_slate_is_in_no_group_and_counted():
    found = fold(event("ann", "view", 1), *shown("bob", "s1"))
    assert (found.unassigned_users, found.learned_users) == (1, 1)
    assert found.conversion.learned_users == 1


def test_users_of_one_id_in_two_tenants_are_two():
    records = [slate("ann", "s1", tenant="a"), slate("ann", "s2", tenant="b", policy=Uniform.name)]
    found = fold(*records, event("ann", "view", 1, tenant="a"), event("ann", "view", 2, tenant="b"))
    assert (found.learned_users, found.random_users, found.mixed_users) == (1, 1, 0)


def test_an_empty_log_has_nothing_to_say():
    found = fold()
    assert (found.ctr.learned, found.ctr.lift_ci95, found.learned_users) == (None, None, 0)
    assert (found.mixed_users, found.unassigned_users) == (0, 0)


# Sessions and money ----------------------------------------------------------------------------------


def test_conversion_is_sessions_with_a_purchase_per_session():
    records = [
        slate("ann", "s1"),
        event("ann", "view", 1),
        event("ann", "purchase", 2, time=T + MINUTE),
        event("ann", "purchase", 3, time=T + 2 * MINUTE),
        event("ann", "view", 4, time=T + HOUR),
        event("ann", "view", 5, time=T + 2 * HOUR),
    ]
    assert fold(*records).conversion.learned == 1 / 3


def test_the_shops_own_session_id_decides_where_there_is_one():
    records = [
        slate("ann", "s1"),
        event("ann", "view", 1, session_id="a"),
        event("ann", "view", 2, session_id="b", time=T + MINUTE),
        event("ann", "purchase", 3, session_id="a", time=T + 5 * HOUR),
    ]
    assert fold(*records).conversion.learned == 1 / 2


def test_a_late_event_joins_the_session_it_happened_in():
    records = [
        slate("ann", "s1"),
        event("ann", "view", 1),
        event("ann", "view", 2, time=T + 5 * HOUR),
        event("ann", "purchase", 3, time=T + MINUTE),
    ]
    assert fold(*records).conversion.learned == 1 / 2


@given(st.lists(st.integers(0, 90 * MINUTE), min_size=1, max_size=30))
def test_sessions_by_time_are_those_of_the_engine(gaps):
    times = np.cumsum(gaps).tolist()
    views = [event("ann", "view", n, time=T + time) for n, time in enumerate(times)]
    profile, count = NEW_PROFILE, 0
    for view in views:
        folded = fold_event(profile, view, SessionRules())
        profile, count = folded.profile, count + folded.new_session
    bought = event("ann", "purchase", "p", time=T + times[-1])
    assert fold(slate("ann", "s1"), *views, bought).conversion.learned == pytest.approx(1 / count)


def test_revenue_is_price_times_quantity_else_the_events_value_less_refunds():
    both = (EventItem("a", 2.0, 10.0), EventItem("b", 1.0, 5.0))
    half = (EventItem("a", 2.0, 10.0), EventItem("b"))
    records = [
        slate("ann", "s1"),
        event("ann", "purchase", 1, items=both, value=99.0, currency="EUR"),
        event("ann", "purchase", 2, items=half, value=40.0, currency="EUR"),
        event("ann", "purchase", 3, items=half),
        event("ann", "refund", 4, value=7.0, currency="EUR", time=T + 50 * HOUR),
        event("ann", "refund", 5, value=-3.0, currency="SEK", time=T + 90 * HOUR),
    ]
    found = fold(*records)
    assert found.revenue_per_session.learned == 25 + 40 - 7 - 3
    assert found.conversion.learned == 1.0
    assert found.currencies == ("EUR", "SEK")


# Repeats, windows, order, bounds ---------------------------------------------------------------------


def test_the_same_event_again_counts_once():
    bought = event("ann", "purchase", 1, value=10.0)
    others = [event("ann", "view", f"v{n}", time=T + n) for n in range(MAX_SEEN - 1)]
    records = [slate("ann", "s1"), bought, *others, bought]
    assert fold(*records).revenue_per_session.learned == 10.0


def test_what_was_before_the_window_only_tells_the_group():
    before = [*shown("ann", "s1", clicks=1), event("ann", "purchase", "p", value=5.0)]
    inside = event("ann", "view", "v", time=T + HOUR)
    found = fold(*before, inside, since=T + HOUR)
    assert found.learned_users == 1
    assert found.conversion.learned == 0.0
    assert (found.revenue_per_session.learned, found.ctr.learned) == (0.0, None)
    assert fold(*before, since=T + HOUR).learned_users == 0
    assert found.since == T + HOUR


def test_slates_of_the_window_outweigh_those_before_it():
    """A share that was changed before the window makes nobody mixed."""
    before = [slate("ann", "s1", time=T), slate("bob", "s2", time=T + 1, policy=Uniform.name)]
    older = slate("bob", "s0", time=T)
    inside = [slate("ann", "s3", time=T + HOUR, policy=Uniform.name)]
    views = [event(user, "view", 1, time=T + HOUR) for user in ("ann", "bob")]
    found = fold(*before, older, *inside, *views, since=T + HOUR)
    assert (found.random_users, found.learned_users, found.mixed_users) == (2, 0, 0)


def test_what_is_at_the_end_of_the_window_or_later_counts_nothing():
    records = [*shown("ann", "s1", clicks=1), *shown("ann", "s2", time=T + HOUR, policy=Uniform.name)]
    found = fold(*records, until=T + HOUR)
    assert (found.ctr.learned, found.mixed_users) == (1.0, 0)


def shop(seed, users=40):
    """Slates and events of some users, each topic in time order."""
    draw = random.Random(seed)
    slates, events = [], []
    for n in range(users):
        policy = Uniform.name if n % 3 == 0 else Softmax.name
        for k in range(draw.randrange(1, 8)):
            time = T + k * 20 * MINUTE + draw.randrange(1000)
            name = f"s{n}-{k}"
            slates.append(slate(f"u{n}", name, policy=policy, time=time))
            events.append(event(f"u{n}", "impression", f"{name}i", slate_id=name, items=(), time=time + 1))
            if draw.random() < 0.5:
                events.append(event(f"u{n}", "click", f"{name}c", slate_id=name, time=time + 2))
            if draw.random() < 0.3:
                events.append(event(f"u{n}", "purchase", f"{name}p", value=draw.random(), time=time + 3))
    return [sorted(part, key=lambda record: record.time) for part in (slates, events)]


@pytest.mark.parametrize("seed", range(5))
def test_slates_and_events_may_come_in_any_order_between_them(seed):
    slates, events = shop(seed)
    first = fold(*slates, *events)
    assert first.ctr.lift_ci95 is None or first.ctr.lift is not None
    assert first.ctr.learned is not None
    assert fold(*events, *slates) == first
    assert fold(*sorted(slates + events, key=lambda record: record.time)) == first


def test_repeats_of_the_whole_log_close_by_change_nothing():
    slates, events = shop(9)
    twice = [record for record in slates + events for _ in range(2)]
    assert fold(*twice) == fold(*slates, *events)


def test_a_comparison_of_many_users_has_intervals():
    slates, events = shop(3, users=600)
    found = fold(*slates, *events)
    low, high = found.ctr.lift_ci95
    assert low < found.ctr.lift < high
    assert low < 0 < high
    assert found.revenue_per_session.lift_ci95 is not None
    assert (found.learned_users, found.random_users) == (400, 200)


def test_more_users_than_the_first_block_keep_their_sums():
    records = [record for n in range(3000) for record in shown(f"u{n}", f"s{n}", clicks=n % 2)]
    found = fold(*records)
    assert (found.ctr.learned, found.ctr.learned_users) == (0.5, 3000)


def test_what_is_kept_per_user_is_bounded():
    experiment = Experiment()
    for n in range(500):
        for record in shown("ann", f"s{n}", clicks=1, time=T + n * HOUR):
            (experiment.add_slate if isinstance(record, Slate) else experiment.add_event)(record)
    (user,) = experiment._users.values()
    assert {len(user.shown), len(user.clicked), len(user.published)} == {6 * MAX_SLATES}
    assert (len(user.seen), len(user.sessions)) == (6 * MAX_SEEN, MAX_SESSIONS)
    parts = (user, user.shown, user.clicked, user.published, user.seen, user.sessions, *user.sessions)
    times = [part for session in user.sessions for part in (session.start, session.last)]
    assert sum(map(sys.getsizeof, [*parts, *times])) < 2048
    assert experiment.compare().ctr.learned == 1.0
