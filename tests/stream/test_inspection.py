"""What is known of one user, as values."""

import json

from state.event import Event, EventItem
from state.profile import NEW_PROFILE, OpenSlate
from state.session import SessionRules, fold_event
from stream.inspection import Inspection, as_json, counted, interactions, partition_of

EVENTS = [
    Event(event_id="1", type="view", user_id="u1", time=5000, items=(EventItem("a"),)),
    Event(event_id="2", type="click", user_id="u1", time=6000, items=(EventItem("b"),), session_id="s"),
    Event(event_id="3", type="search", user_id="u1", time=7000),
]
PROFILE = NEW_PROFILE
for event in EVENTS:
    PROFILE = fold_event(PROFILE, event, SessionRules()).profile


def test_the_partition_is_the_java_clients() -> None:
    # Values of org.apache.kafka.common.utils.Utils.murmur2 (UtilsTest), made positive, modulo 8.
    assert partition_of("21", 8) == (-973932308 & 0x7FFFFFFF) % 8
    assert partition_of("foobar", 8) == (-790332482 & 0x7FFFFFFF) % 8
    assert partition_of("any", 1) == 0


def test_interactions_have_names_and_event_times_oldest_first() -> None:
    assert interactions(PROFILE) == [("a", "view", 5000), ("b", "click", 6000)]


def test_only_types_that_came_are_counted() -> None:
    assert counted(PROFILE) == {"view": 1, "click": 1, "search": 1}
    assert counted(NEW_PROFILE) == {}


def inspection(**fields: object) -> Inspection:
    known = {"user_id": "u1", "tenant": "shop", "key": "shop|u1", "partition": 2, "expected_partition": 2}
    return Inspection(**{**known, "partitions": 8, "profile": PROFILE, "slates": (), **fields})  # type: ignore[arg-type]


def test_the_json_form_names_what_the_profile_has_as_codes() -> None:
    found = json.loads(json.dumps(as_json(inspection())))
    assert found["profile"]["session"] == {"session_id": "s", "start": 5000, "last_time": 7000, "items": 2}
    assert found["profile"]["items"][1] == {"item_id": "b", "type": "click", "time": 6000}
    assert found["profile"]["counts"] == {"view": 1, "click": 1, "search": 1}
    assert (found["key"], found["partition"]) == ("shop|u1", 2)


def test_the_json_form_leaves_hashes_out() -> None:
    slate = OpenSlate("events-0-1", 5, "feed", "softmax", "1", b"\xff\xfe\xfd\xfc", b"\x00\x00\x80?")
    found = as_json(inspection(profile=fold_event(PROFILE, EVENTS[0], SessionRules()).profile))
    assert found["profile"]["open_slates"] == []
    from msgspec import structs

    found = as_json(inspection(profile=structs.replace(PROFILE, open_slates=(slate,))))
    (told,) = json.loads(json.dumps(found))["profile"]["open_slates"]
    assert told["slate_id"] == "events-0-1"
    assert "items" not in told


def test_an_expired_profile_is_null() -> None:
    assert as_json(inspection(profile=None))["profile"] is None
