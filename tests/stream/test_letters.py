"""What is in the topic of dead letters; reading it is in `tests/kafka/test_redrive.py`."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import InvalidEvent, UnreadableState
from state.event import Origin
from stream.config import Settings
from stream.dead_letter import REDRIVEN, dead_letter
from stream.letters import (
    ACTION,
    DeadLetterError,
    Dealt,
    Filter,
    Found,
    Kind,
    collected,
    dealt_of,
    find,
    is_of,
    latest,
    letter_of,
    own_headers,
)
from tests.stream.records import record

TIME = 1_763_831_000_000
KIND = Kind("clicks", "not_json")


def letter_record(value=b"{", key=b"ann", headers=(), reason="not_json", place=("clicks", 4, 17)):
    origin = Origin(*place, TIME)
    error = InvalidEvent(reason, "why")
    row = dead_letter(key, value, headers, origin, error, failed_at_ms=TIME, app_version="1")
    return record(row[1], 5, topic="events.dlq", partition=3, key=row[0], headers=row[2], time=TIME + 9000)


def letter(**made):
    found = letter_of(letter_record(**made))
    assert found is not None
    return found


def dealt_record(value=None):
    said = {"action": "redriven", "offsets": (5,), "time": TIME, "by": "me@here", "app_version": "1"}
    value = msgspec.json.encode(said) if value is None else value
    return record(value, 6, topic="events.dlq", partition=3, headers=((ACTION, b"redriven"),))


def topic_of(monkeypatch, *records):
    """Let the topic of dead letters have these records, in the place of a broker."""

    async def read_topic(broker, topic, *, partitions=None, since=None, starts=None):
        for each in records:
            if starts is None or each.offset >= starts.get(each.partition, 1 << 60):
                yield each

    async def describe(broker, names):
        return dict.fromkeys(names)

    monkeypatch.setattr("stream.letters.read_topic", read_topic)
    monkeypatch.setattr("stream.letters.describe", describe)


def at(made, offset, partition=3):
    """The record at another place."""
    return replace(made, offset=offset, partition=partition)


TOPIC = [
    at(letter_record(b"a"), 1),
    at(letter_record(b"b", reason="too_large"), 2),
    at(letter_record(b"c"), 5),
    at(letter_record(b"d"), 5, partition=0),
    at(record(b"of somebody else"), 6),
    at(dealt_record(), 7),
]
"""Four letters, of which that at 3-5 was sent again."""


async def test_what_was_dealt_with_waits_no_more_and_its_namesake_elsewhere_does(monkeypatch):
    topic_of(monkeypatch, *TOPIC)
    found = await find(Settings(), Filter())
    assert found.ids == [(3, 1), (3, 2), (0, 5)]
    assert (found.dealt, found.foreign) == ({"redriven": 1}, 1)
    assert found.kinds == {KIND: 2, Kind("clicks", "too_large"): 1}


async def test_only_letters_that_are_meant_are_counted_waiting_or_not(monkeypatch):
    topic_of(monkeypatch, *TOPIC)
    found = await find(Settings(), Filter(reasons=frozenset({"too_large"})), judge=lambda _: "not_json")
    assert found.kinds == {Kind("clicks", "too_large", "not_json"): 1}
    assert found.dealt.total() == 0


async def test_letters_are_read_in_the_order_asked_for_and_none_is_made_up(monkeypatch):
    topic_of(monkeypatch, *TOPIC)
    found = await collected(Settings(), [(0, 5), (3, 5), (3, 6), (3, 7), (3, 1), (2, 0)])
    assert [(each.partition, each.offset, each.value) for each in found] == [
        (0, 5, b"d"),
        (3, 5, b"c"),
        (3, 1, b"a"),
    ]
    assert await collected(Settings(), []) == []


async def test_without_the_topic_it_is_one_clear_error(monkeypatch):
    async def describe(broker, names):
        return {}

    monkeypatch.setattr("stream.letters.describe", describe)
    with pytest.raises(DeadLetterError, match=r"there is no topic events\.dlq at .*FRESHSLATE_TOPIC_PREFIX"):
        await find(Settings(), Filter())


OURS = ["dlq.reason", "dlq.action", "dlq.source.offset", REDRIVEN]
names = st.sampled_from(OURS) | st.text(max_size=9)


@given(
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=20),
    headers=st.lists(st.tuples(names, st.binary(max_size=9)), max_size=5),
)
def test_a_letter_gives_its_record_back_byte_for_byte_whatever_the_record_said(key, value, headers):
    found = letter(key=key, value=value, headers=tuple(headers))
    assert (found.key, found.value, list(found.headers)) == (key, value, headers)
    assert (found.topic, found.source_partition, found.source_offset) == ("clicks", 4, 17)
    assert (found.name, found.reason, found.record_time, found.attempt) == ("3-5", "not_json", TIME, 1)
    assert dealt_of(letter_record(key=key, value=value, headers=tuple(headers))) is None


def test_what_was_added_to_send_it_again_is_none_of_its_own_headers():
    said = {"attempt": 1, "reason": "x", "topic": "t", "partition": 0, "offset": 1}
    added = REDRIVEN, msgspec.json.encode(said | {"failed_at": "2025-11-20T00:00:00.000Z"})
    again = letter(headers=(("trace", b"1"), added))
    assert own_headers(again) == (("trace", b"1"),)
    assert again.attempt == 2
    forged = letter(headers=(("trace", b"1"), (REDRIVEN, b"mine")))
    assert own_headers(forged) == (("trace", b"1"), (REDRIVEN, b"mine"))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("trace", b"1"),),
        (("dlq.reason", b"not_json"),),
        (("dlq.reason", b"not_json"), ("dlq.source.topic", b"t"), ("dlq.source.offset", b"many")),
        ((ACTION, b"redriven"),),
    ],
    ids=["none", "others", "too few", "no number", "of what was done"],
)
def test_other_records_are_no_letters(headers):
    assert letter_of(record(b"{", headers=headers)) is None


def test_what_was_done_names_the_letters():
    assert dealt_of(dealt_record()) == Dealt(
        action="redriven", offsets=(5,), time=TIME, by="me@here", app_version="1"
    )
    assert letter_of(dealt_record()) is None


@pytest.mark.parametrize("value", [b"{", b'{"action": "burnt"}'], ids=["no JSON", "unknown"])
def test_what_a_newer_version_did_is_not_passed_over(value):
    with pytest.raises(UnreadableState, match="what was done with dead letters"):
        dealt_of(dealt_record(value))


@pytest.mark.parametrize(
    ("which", "taken"),
    [
        ({}, True),
        ({"ids": frozenset({(3, 5)})}, True),
        ({"ids": frozenset({(3, 6)})}, False),
        ({"reasons": frozenset({"not_json", "too_large"})}, True),
        ({"reasons": frozenset({"too_large"})}, False),
        ({"topic": "clicks"}, True),
        ({"topic": "views"}, False),
        ({"partition": 3}, True),
        ({"partition": 0}, False),
        ({"user": ("default", "ann")}, True),
        ({"user": ("north", "ann")}, False),
        ({"first": TIME + 9000}, True),
        ({"first": TIME + 9001}, False),
        ({"end": TIME + 9001}, True),
        ({"end": TIME + 9000}, False),
    ],
)
def test_a_filter_takes_what_it_names(which, taken):
    assert Filter(**which).takes(letter()) is taken


@pytest.mark.parametrize(
    ("value", "mine"),
    [
        (b'{"user_id": "bob"}', True),
        (b'{"user_id": 7}', False),
        (b'{"anonymous_id": "bob", "tenant": "default"}', True),
        (b'{"user_id": "bob", "tenant": "north"}', False),
        (b'["bob"]', False),
        (b'{"user_id": "bob"', False),
        (None, False),
    ],
)
def test_a_letter_is_of_a_user_by_what_can_be_read_of_it(value, mine):
    assert is_of(letter(value=value, key=None), "default", "bob") is mine


def test_the_latest_letters_are_by_time_over_all_partitions():
    found = Found(waiting={0: {1: (KIND, 10), 2: (KIND, 30)}, 1: {8: (KIND, 20)}})
    assert latest(found, 2) == [(1, 8), (0, 2)]
    assert latest(found, 0) == []
    assert latest(found, 9) == [(0, 1), (1, 8), (0, 2)]
    assert found.kinds == {KIND: 3}
    assert found.ids == [(0, 1), (0, 2), (1, 8)]
