import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import Event, EventItem
from stream.config import load_settings
from stream.event_file import EventList, Span
from stream.replay import ReplayError, refuse_unkept, replay, shift_of
from stream.topics import BrokerUnreachableError, TopicState

NOW = 1_763_000_000_000
DAY = 86_400_000
TIMES = st.integers(1_000_000_000_000, 2_000_000_000_000)


@given(first=TIMES, length=st.integers(0, 400 * DAY))
def test_at_full_speed_the_last_event_happens_now(first: int, length: int) -> None:
    span = Span(first, first + length, 2)
    assert span.last + shift_of(span, None, NOW) == NOW


@given(first=TIMES, length=st.integers(0, 400 * DAY), speed=st.floats(0.01, 1e6))
def test_a_paced_event_never_happens_after_it_is_sent(first: int, length: int, speed: float) -> None:
    span = Span(first, first + length, 2)
    shift = shift_of(span, speed, NOW)
    first_sent, last_sent = NOW, NOW + length / speed
    assert span.first + shift <= first_sent + 1
    assert span.last + shift <= last_sent + 1


def test_a_fast_replays_last_event_happens_when_it_is_sent() -> None:
    assert 2000 + shift_of(Span(1000, 2000, 2), 10, NOW) == NOW + 100


def test_a_slow_replays_first_event_happens_when_it_is_sent() -> None:
    assert 1000 + shift_of(Span(1000, 2000, 2), 0.5, NOW) == NOW


def test_events_older_than_the_retention_are_refused_with_what_to_do() -> None:
    state = TopicState(8, {"cleanup.policy": "delete", "retention.ms": str(30 * DAY)})
    with pytest.raises(ReplayError) as caught:
        refuse_unkept(NOW - 31 * DAY, NOW, NOW, "events", state)
    told = str(caught.value)
    assert told.startswith("the events reach back 31.0 days, and events keeps 30.0: Kafka would delete them")
    assert "FRESHSLATE_EVENTS_RETENTION_SECONDS=-1" in told
    assert "--entity-name events --add-config retention.ms=-1" in told


@pytest.mark.parametrize(
    "config",
    [
        {"cleanup.policy": "delete", "retention.ms": "-1"},
        {"cleanup.policy": "compact", "retention.ms": "1"},
        {"cleanup.policy": "delete", "retention.ms": str(32 * DAY)},
    ],
)
def test_events_that_kafka_keeps_are_sent(config: dict[str, str]) -> None:
    assert refuse_unkept(NOW - 31 * DAY, NOW, NOW, "events", TopicState(8, config)) is None


def test_events_further_ahead_than_the_broker_takes_are_refused() -> None:
    state = TopicState(8, {"message.timestamp.after.max.ms": "3600000"})
    with pytest.raises(ReplayError, match=r"the latest event is 1\.0 days ahead of now"):
        refuse_unkept(NOW, NOW + DAY, NOW, "events", state)
    assert refuse_unkept(NOW, NOW + 3_600_000, NOW, "events", state) is None


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_does_not_move_is_refused(speed: float) -> None:
    with pytest.raises(ReplayError, match="speed must be above 0"):
        asyncio.run(replay(load_settings(), EventList([]), speed=speed))


def test_without_a_broker_the_error_says_how_to_get_one() -> None:
    event = Event(event_id="1", type="click", user_id="u", time=NOW, items=(EventItem("i"),))
    with pytest.raises(BrokerUnreachableError, match="`freshslate kafka`"):
        asyncio.run(replay(load_settings(broker="localhost:1"), EventList([event])))
