"""The score of a simulated shop: what counts, and from when on."""

import pytest

from state.event import Event, EventItem
from state.slate import Slate, SlateItem, Trigger
from stream.scoreboard import ANSWER_SECONDS, PATIENCE_SECONDS, Scoreboard
from stream.tally import Tally

LIVE = 1_000_000


def event(number: int, kind: str = "click", *, user: str = "shopper-1", slate: str | None = None) -> Event:
    items = () if kind == "impression" else (EventItem("tent-1"),)
    return Event(
        event_id=f"{user}-{number}",
        type=kind,
        user_id=user,
        time=LIVE + number,
        items=items,
        slate_id=slate,
        position=1 if slate and items else None,
    )


def slate(number: int, *, user: str = "shopper-1", policy: str = "softmax") -> Slate:
    return Slate(
        slate_id=f"events-0-{number}",
        user_id=user,
        tenant="default",
        scenario="feed",
        time=LIVE + number,
        trigger=Trigger(f"{user}-{number}", LIVE + number, "events", 0, number),
        policy=policy,
        policy_version="1",
        seed=1,
        candidates=1,
        candidates_hash="",
        items=(SlateItem("tent-1", 1, 1.0, 0.5, ()),),
    )


@pytest.fixture
def board() -> Scoreboard:
    return Scoreboard(Tally({"click", "view"}))


@pytest.fixture
def live(board: Scoreboard) -> Scoreboard:
    board.go_live(LIVE)
    return board


def test_the_past_is_asked_and_answered_but_not_measured(board: Scoreboard) -> None:
    board.sent([event(1)], None)
    board.read(slate(1), 5.0)
    board.go_live(LIVE)
    events, slates, latency = board.passing()
    assert (events.total, slates.total) == (1, 1)
    assert (latency.run_p50, len(latency.p50)) == (None, 0)
    assert board.counts(0, 9.0).answered == board.counts(0, 9.0).asked == 1


def test_a_second_has_its_events_slates_and_percentiles(live: Scoreboard) -> None:
    live.sent([event(1), event(2, "impression", slate="s")], 1.0)
    live.read(slate(1), 1.02)
    live.tick()
    live.tick()
    events, slates, latency = live.passing()
    assert events.per_second.last(2) == (2, 0)
    assert slates.per_second.last(2) == (1, 0)
    assert latency.p50.last(2) == (pytest.approx(20.0), None)
    assert latency.run_p99 == pytest.approx(20.0)


def test_what_is_asked_and_not_answered_waits(live: Scoreboard) -> None:
    live.sent([event(1), event(2)], 1.0)
    live.read(slate(1), 1.1)
    live.dead(3)
    counts = live.counts(1, 2.0)
    assert (counts.asked, counts.answered, counts.waiting) == (2, 1, 1)
    assert (counts.dead_letters, counts.kills, counts.duplicates) == (3, 1, 0)


def test_what_is_not_answered_for_long_is_lost_until_it_comes(live: Scoreboard) -> None:
    live.sent([event(1)], 1.0)
    live.sent([event(2)], None)
    assert live.counts(0, 1.0 + ANSWER_SECONDS).lost == 0
    assert live.counts(0, 1.1 + ANSWER_SECONDS).lost == 1
    live.read(slate(1), 1.2 + ANSWER_SECONDS)
    assert live.counts(0, 1.3 + ANSWER_SECONDS).lost == 0


def test_shares_of_the_oracle_are_by_group(live: Scoreboard) -> None:
    live.seen(slate(1), 0.2, 0.4)
    live.seen(slate(2), 0.1, 0.4)
    live.seen(slate(3, user="shopper-2", policy="random"), 0.1, 0.5)
    oracle = live.oracle()
    assert oracle.learned == pytest.approx(0.375)
    assert oracle.random == pytest.approx(0.2)


def test_without_a_shown_slate_there_is_no_share(live: Scoreboard) -> None:
    assert (live.oracle().learned, live.oracle().random) == (None, None)


def test_the_trend_counts_clicks_of_slates_by_the_shoppers_group(live: Scoreboard) -> None:
    live.seen(slate(1), 0.2, 0.4)
    live.seen(slate(2, user="shopper-2", policy="random"), 0.2, 0.4)
    live.sent([event(3, "impression", slate="a"), event(4, "click", slate="a")], 1.0)
    live.sent([event(5, "impression", user="shopper-2", slate="b"), event(6, user="shopper-3")], 1.0)
    live.tick()
    effect = live.effect()
    assert effect.ctr_learned is not None
    assert effect.ctr_random is not None
    assert (effect.ctr_learned.now, effect.ctr_random.now) == (1.0, 0.0)


def test_the_first_of_the_learned_to_click_is_followed_and_answers_are_steps(live: Scoreboard) -> None:
    live.seen(slate(1), 0.2, 0.4)
    live.seen(slate(1, user="shopper-2", policy="random"), 0.2, 0.4)
    live.sent([event(2, user="shopper-2"), event(3, "view"), event(4), event(5, user="shopper-2")], 1.0)
    live.read(slate(4), 1.03)
    assert live.walk is not None
    assert live.walk.shopper == "shopper-1"
    assert [step.milliseconds for step in live.walk.steps] == [pytest.approx(30.0)]


def test_a_shopper_who_has_gone_is_not_followed_any_longer(live: Scoreboard) -> None:
    live.seen(slate(1), 0.2, 0.4)
    live.seen(slate(1, user="shopper-2"), 0.2, 0.4)
    live.sent([event(2)], 1.0)
    live.sent([event(2, user="shopper-2")], 2.0)
    assert live.walk is not None
    assert live.walk.shopper == "shopper-1"
    live.sent([event(3, user="shopper-2")], 1.1 + PATIENCE_SECONDS)
    assert live.walk.shopper == "shopper-2"
