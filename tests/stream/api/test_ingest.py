"""Events of a request, one by one."""

import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import EventRules, Origin
from stream.api.ingest import check, parts_of
from stream.api.keys import Access
from stream.api.problem import Problem
from stream.codecs import decode_event, encode_event
from tests.stream.api.fakes import NOW

SHOP = Access("shop", "default", frozenset({"events"}))
NORTH = Access("north", "north", frozenset({"events"}))
ANYONE = Access("any", "*", frozenset({"admin"}))
CLICK = {"type": "click", "user_id": "u", "item_id": "i"}


def checked(*events, access=SHOP):
    return check([json.dumps(event).encode() for event in events], access, EventRules(), NOW)


@pytest.mark.parametrize(
    "body",
    [json.dumps(CLICK), json.dumps([CLICK]), json.dumps({"events": [CLICK]}), f" \n{json.dumps([CLICK])}"],
)
def test_one_event_or_many_may_come(body: str) -> None:
    assert [json.loads(part) for part in parts_of(body.encode(), 10)] == [CLICK]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"[", "not_json"),
        (b"7", "not_json"),
        (b'{"events": 7}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not_json"),
        (b"[1,2,3]", "too_large"),
    ],
)
def test_a_body_that_is_none_of_these_is_refused_whole(body: bytes, reason: str) -> None:
    with pytest.raises(Problem) as caught:
        parts_of(body, 2)
    assert caught.value.reason == reason


@given(st.binary(max_size=200))
def test_no_body_does_worse_than_be_refused(body: bytes) -> None:
    try:
        parts = parts_of(body, 100)
    except Problem:
        return
    found = check(parts, SHOP, EventRules(), NOW)
    assert len(found.events) + len(found.faults) == len(parts)


def test_an_event_that_is_not_utf8_is_the_only_one_refused() -> None:
    body = b'[{"type":"click","user_id":"\xff","item_id":"i"}, %s]' % json.dumps(CLICK).encode()
    found = check(parts_of(body, 10), SHOP, EventRules(), NOW)
    assert [(fault.index, fault.reason) for fault in found.faults] == [(0, "not_json")]
    assert len(found.events) == 1


def test_ids_and_times_that_are_missing_are_made() -> None:
    found = checked(CLICK, CLICK, {**CLICK, "event_id": "mine", "time": NOW - 5})
    first, second, third = (event for _, event in found.events)
    assert first.event_id != second.event_id
    assert first.event_id.startswith("http-")
    assert (first.time, third.time, third.event_id) == (NOW, NOW - 5, "mine")


def test_a_bad_event_has_its_reason_and_the_others_are_taken() -> None:
    found = checked(
        CLICK,
        {**CLICK, "type": "wave"},
        {"type": "click", "user_id": "u"},
        {**CLICK, "time": NOW + 2 * 3_600_000},
        7,
        {**CLICK, "user_id": "v"},
    )
    assert [index for index, _ in found.events] == [0, 5]
    assert [(fault.index, fault.reason) for fault in found.faults] == [
        (1, "unknown_type"),
        (2, "missing_item"),
        (3, "time_in_future"),
        (4, "wrong_type"),
    ]


def test_a_key_of_a_tenant_sends_that_tenants_events_and_no_others() -> None:
    found = checked(CLICK, {**CLICK, "tenant": "north"}, {**CLICK, "tenant": "south"}, access=NORTH)
    assert [event.tenant for _, event in found.events] == ["north", "north"]
    assert [fault.reason for fault in found.faults] == ["wrong_tenant"]
    assert [event.tenant for _, event in checked({**CLICK, "tenant": "south"}, access=ANYONE).events] == [
        "south"
    ]


def test_only_an_admin_may_have_a_user_forgotten() -> None:
    forget = {"type": "forget", "user_id": "u"}
    assert [fault.reason for fault in checked(forget).faults] == ["missing_right"]
    assert [event.type for _, event in checked(forget, access=ANYONE).events] == ["forget"]


def test_nobody_sends_a_heartbeat() -> None:
    beat = {"tenant": "freshslate-heartbeat", "user_id": "0", "type": "search", "time": NOW}
    found = checked(beat, {**beat, "item_id": "i"}, access=ANYONE)
    assert [fault.reason for fault in found.faults] == ["wrong_tenant", "wrong_id"]


@pytest.mark.parametrize(
    "context",
    [{"x": "y" * (EventRules().max_bytes - 100)}, {"x": [msgspec.Raw(b"1e15")] * 12_000}],
)
def test_what_is_too_large_once_it_is_written_is_refused_and_not_left_to_a_dead_letter(context) -> None:
    event = {"type": "click", "user_id": "u", "item_id": "i", "context": context}
    part = msgspec.json.encode(event)
    assert len(part) <= EventRules().max_bytes
    checked = check([part], ANYONE, EventRules(), NOW)
    assert ([fault.reason for fault in checked.faults], checked.events) == (["too_large"], [])


def test_whatever_is_accepted_is_accepted_by_a_worker() -> None:
    draw = random.Random(4)
    rules = EventRules(max_bytes=400)
    taken = 0
    for _ in range(2000):
        numbers = [
            msgspec.Raw(draw.choice([b"1e15", b"1", b"0.1", b'"x"'])) for _ in range(draw.randrange(80))
        ]
        event = {"type": "click", "user_id": "u", "item_id": "i", "context": {"x": numbers}}
        for _, found in check([msgspec.json.encode(event)], ANYONE, rules, NOW).events:
            taken += 1
            decode_event(encode_event(found), Origin("events", 0, 0, NOW), rules)
    assert 0 < taken < 2000
