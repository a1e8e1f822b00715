"""What would be sent again; sending it is in `tests/kafka/test_redrive.py`."""

import json
import time

import msgspec
import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced

from state.event import EventRules
from stream.config import Settings
from stream.dead_letter import REDRIVEN
from stream.letters import Found, Kind
from stream.redrive import NO_INPUT, _redriven, _why, judge, parted
from tests.stream.test_letters import TIME, letter

SETTINGS = Settings(inputs=("clicks",))
RULES = EventRules(max_ahead_ms=2000)


def event(**fields):
    return json.dumps({"type": "click", "user_id": "ann", "item_id": "a"} | fields).encode()


@pytest.mark.parametrize(
    ("value", "again"),
    [(event(), None), (b"{", "not_json"), (None, "null_value"), (event(time=TIME + 3000), "time_in_future")],
)
def test_a_letter_is_judged_by_the_rules_of_now_and_its_own_time(value, again):
    assert judge(SETTINGS, RULES, "keep")(letter(value=value)) == again


def test_an_event_ahead_of_its_time_is_good_once_the_time_has_come():
    early = letter(value=event(time=int(time.time() * 1000) + 1000))
    assert judge(SETTINGS, RULES, "keep")(early) == "time_in_future"
    assert judge(SETTINGS, RULES, "now")(early) is None


def test_a_letter_of_a_topic_that_is_no_input_stays():
    assert judge(SETTINGS, RULES, "keep")(letter(value=event(), place=("views", 3, 1))) == NO_INPUT


def test_a_letter_is_judged_in_the_format_of_its_topic_with_its_headers():
    rules = EventRules(formats={"clicks": "cloudevents"})
    settings = Settings(inputs=("events", "clicks"), input_formats=("clicks=cloudevents",))
    bare = letter(value=event(type=None))
    assert judge(settings, rules, "keep")(bare) == "wrong_type"
    headers = (("ce_specversion", b"1.0"), ("ce_type", b"shop.click"))
    assert judge(settings, rules, "keep")(bare._replace(headers=headers)) is None


def test_what_would_be_refused_again_stays_unless_all_are_asked_for():
    good, bad, lost = (Kind("clicks", "too_large", again) for again in (None, "not_json", NO_INPUT))
    found = Found(waiting={0: {1: (good, 9), 2: (bad, 9)}, 1: {0: (lost, 9), 7: (good, 9)}})
    assert parted(found, every=False) == ([(0, 1), (1, 7)], {bad: 1, lost: 1})
    assert parted(found, every=True) == ([(0, 1), (0, 2), (1, 7)], {lost: 1})


def test_what_is_sent_names_the_first_failure_of_all():
    first = _redriven(letter(reason="too_large"))
    assert (first.attempt, first.reason, first.topic, first.partition, first.offset) == (
        1,
        "too_large",
        "clicks",
        4,
        17,
    )
    later = letter(headers=((REDRIVEN, msgspec.json.encode(first)),), place=("clicks", 3, 99))
    assert _redriven(later) == msgspec.structs.replace(first, attempt=2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProducerFenced(), "another redrive or drop has begun"),
        (
            MessageSizeTooLargeError(),
            "max.message.bytes, with a header of some 150 bytes that is added; it is one of 3-5",
        ),
        (KafkaError("gone"), "of the next none or all; run it again to go on"),
    ],
    ids=["fenced", "too large", "other"],
)
def test_what_ends_a_run_is_said_with_what_was_done(error, said):
    told = _why(error, 7, [letter()])
    assert said in told
    assert "7 letters were done before that" in told


def test_the_header_that_is_added_is_as_small_as_is_said():
    added = msgspec.json.encode(
        _redriven(letter(reason="unsupported_schema", place=("purchases", 31, 10**9)))
    )
    assert len(REDRIVEN) + len(added) < 180
