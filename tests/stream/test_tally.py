"""The demo's own count of what was asked and answered."""

import pytest

from state.slate import Slate, Trigger
from stream.tally import Latency, Tally


def slate(number: int, event_id: str) -> Slate:
    return Slate(
        slate_id=f"events-0-{number}",
        user_id="u",
        tenant="default",
        scenario="feed",
        time=1,
        trigger=Trigger(event_id, 1, "events", 0, number),
        policy="softmax",
        policy_version="1",
        seed=1,
        candidates=0,
        candidates_hash="",
        items=(),
    )


@pytest.fixture
def tally() -> Tally:
    return Tally({"click"})


def test_an_event_that_gets_its_slate_is_measured(tally: Tally) -> None:
    tally.sent("a", "click", at=10.0)
    assert tally.read(slate(1, "a"), 10.25) == pytest.approx(250)
    assert (tally.events, tally.slates, tally.waiting, tally.duplicates) == (1, 1, 0, 0)
    assert tally.latency() == Latency(250.0, 250.0)


def test_an_event_that_gets_none_is_waiting(tally: Tally) -> None:
    tally.sent("a", "click", at=10.0)
    tally.sent("b", "click", at=10.0)
    tally.read(slate(1, "a"), 11.0)
    assert tally.waiting == 1


def test_an_event_that_asks_for_no_slate_is_not_waited_for(tally: Tally) -> None:
    tally.sent("a", "impression", at=10.0)
    assert (tally.events, tally.waiting) == (1, 0)


def test_a_slate_read_again_is_a_duplicate_and_not_measured_again(tally: Tally) -> None:
    tally.sent("a", "click", at=10.0)
    tally.read(slate(1, "a"), 10.5)
    assert tally.read(slate(1, "a"), 99.0) is None
    assert (tally.slates, tally.duplicates, tally.latency().p99) == (1, 1, 500.0)


def test_the_past_is_counted_and_not_measured(tally: Tally) -> None:
    tally.sent("a", "click")
    assert tally.waiting == 1
    assert tally.read(slate(1, "a"), 99.0) is None
    assert (tally.waiting, tally.slates, tally.latency()) == (0, 1, Latency(None, None))


def test_percentiles_are_over_all_measurements(tally: Tally) -> None:
    for number in range(101):
        tally.sent(str(number), "click", at=0.0)
        tally.read(slate(number, str(number)), number / 1000)
    assert tally.latency() == Latency(50.0, 99.0)


def test_what_was_sent_before_a_time_and_not_answered_is_overdue(tally: Tally) -> None:
    tally.sent("a", "click", at=1.0)
    tally.sent("b", "click", at=3.0)
    tally.sent("past", "click")
    assert (tally.overdue(1.0), tally.overdue(2.0), tally.overdue(9.0)) == (0, 1, 2)
    tally.read(slate(1, "a"), 4.0)
    assert tally.overdue(9.0) == 1
    assert tally.asked == 3
