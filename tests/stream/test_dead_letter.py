import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import InvalidEvent, TooManyDeadLetters
from state.event import Origin
from stream.dead_letter import (
    LAST_ADDED,
    MAX_EXCEPTION,
    REDRIVEN,
    DeadLetterLimit,
    DeadLetterPolicy,
    dead_letter,
    redriven_of,
)

ERROR = InvalidEvent("wrong_type", "Expected `object` - at `$.items[0]`")


def letter(key=b"u", value=b"{", headers=(), error=ERROR):
    origin = Origin("clicks", 3, 17, 1_763_831_001_512)
    return dead_letter(key, value, headers, origin, error, failed_at_ms=origin.time, app_version="0.1.0")


def test_a_dead_letter_says_what_where_and_when():
    _, _, headers = letter()
    assert dict(headers) == {
        "dlq.reason": b"wrong_type",
        "dlq.exception": b"InvalidEvent: Expected `object` - at `$.items[0]`",
        "dlq.source.topic": b"clicks",
        "dlq.source.partition": b"3",
        "dlq.source.offset": b"17",
        "dlq.first_failed_at": b"2025-11-22T17:03:21.512Z",
        "dlq.attempt": b"1",
        "dlq.app_version": b"0.1.0",
    }


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.text(max_size=9), st.binary()), max_size=4),
)
def test_what_the_record_had_stays_untouched(key, value, headers):
    letter_key, letter_value, letter_headers = letter(key, value, tuple(headers))
    assert (letter_key, letter_value) == (key, value)
    assert list(letter_headers[: len(headers)]) == headers


def test_a_retry_writes_the_same_dead_letter():
    assert letter() == letter()


def test_of_a_dead_letter_twice_the_last_headers_count():
    _, _, headers = letter(headers=(("dlq.reason", b"not_json"),))
    assert dict(headers)["dlq.reason"] == b"wrong_type"


def redriven(**fields):
    said = {"attempt": 1, "reason": "too_large", "topic": "views", "partition": 2, "offset": 5}
    return REDRIVEN, msgspec.json.encode(said | {"failed_at": "2025-11-20T00:00:00.000Z"} | fields)


def test_a_record_that_was_sent_again_names_its_first_failure_and_how_often_it_failed():
    _, _, headers = letter(headers=(("trace", b"1"), redriven(attempt=2)))
    said = dict(headers)
    assert said["dlq.attempt"] == b"3"
    assert said["dlq.first_failed_at"] == b"2025-11-20T00:00:00.000Z"
    first = [said[f"dlq.first.{name}"] for name in ("reason", "topic", "partition", "offset")]
    assert first == [b"too_large", b"views", b"2", b"5"]
    assert said["dlq.reason"] == b"wrong_type"
    assert said["dlq.source.offset"] == b"17"
    assert headers[-1][0] == LAST_ADDED


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((REDRIVEN, b"{"),),
        ((REDRIVEN, b"\xff"),),
        ((REDRIVEN, b'{"attempt": "many"}'),),
        (redriven(), ("later", b"")),
    ],
    ids=["none", "no JSON", "no text", "no number", "not the last"],
)
def test_what_a_producer_wrote_under_that_name_counts_as_nothing(headers):
    assert redriven_of(headers) is None
    assert dict(letter(headers=headers)[2])["dlq.attempt"] == b"1"


def test_a_message_is_cut_and_always_encodable():
    _, _, headers = letter(error=InvalidEvent("wrong_id", "\ud800" * 2000))
    assert len(dict(headers)["dlq.exception"]) == MAX_EXCEPTION


def limit(**policy):
    return DeadLetterLimit(DeadLetterPolicy(**policy), "clicks", 3)


def test_more_than_the_share_stops_the_worker():
    bound = limit(window=100, share=0.5)
    bound.record(b"\0" * 50 + b"\1" * 50)
    with pytest.raises(TooManyDeadLetters) as caught:
        bound.record(b"\1", last=ERROR)
    error = caught.value
    assert (error.topic, error.partition, error.bad, error.records) == ("clicks", 3, 51, 100)
    assert error.last is ERROR


def test_a_few_records_are_not_judged():
    bound = limit(window=100, share=0.5, minimum=50)
    bound.record(b"\1" * 49)
    with pytest.raises(TooManyDeadLetters):
        bound.record(b"\1")


def test_a_window_below_the_minimum_is_the_minimum():
    with pytest.raises(TooManyDeadLetters):
        limit(window=10, share=0.5, minimum=50).record(b"\1" * 10)


def test_only_the_latest_records_count():
    bound = limit(window=100, share=0.5)
    bound.record(b"\1" * 49)
    for _ in range(10):
        bound.record(b"\0" * 99 + b"\1")
    bound.record(b"\1" * 49)
    with pytest.raises(TooManyDeadLetters):
        bound.record(b"\1" * 2)


def test_a_large_run_with_few_bad_records_is_no_alarm():
    limit(window=1000, share=0.5).record((b"\0" * 7 + b"\1") * 10_000)


def test_a_share_of_one_never_stops():
    limit(share=1.0).record(b"\1" * 5000)


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 80))
def test_runs_may_be_cut_anywhere(flags, cut):
    """Cutting only adds moments of judgement: the window at the end is the same."""
    whole, parts = limit(window=20, share=1.0), limit(window=20, share=1.0)
    whole.record(bytes(flags))
    parts.record(bytes(flags[:cut]))
    parts.record(bytes(flags[cut:]))
    assert whole.window == parts.window == bytes(flags)[-20:]


@pytest.mark.parametrize("policy", [{"window": 0}, {"minimum": 0}, {"share": 0.0}, {"share": 1.1}])
def test_a_limit_out_of_range_is_refused(policy):
    with pytest.raises(ValueError, match="window and minimum"):
        DeadLetterPolicy(**policy)
