import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import REASONS, InvalidEvent
from state.event import EventRules, Origin
from state.fronts.front import FRONTS, OWN, LeftOut
from stream.codecs import decode_event, encode_event
from tests.state.fronts.cases import anything, damaged, golden, named, parted, raised

NOW = 1_763_831_070_000
ORIGIN = Origin("events", 0, 1, NOW)
CASES = [{"front": name, **case} for name in FRONTS for case in golden(name)["cases"]]
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "ce-id", "ce-type", "ce_type", "ce-specversion", "ce_specversion"]),
    st.sampled_from(["1.0", "", "%", "%FF", "com.shop.click", "application/json", "application/xml"])
    | st.text(max_size=5),
)


def test_our_own_format_needs_no_front():
    assert OWN not in FRONTS


@pytest.mark.parametrize("name", FRONTS)
def test_every_front_has_golden_requests_that_say_where_their_shape_is_from(name):
    assert golden(name)["sources"]
    assert len(golden(name)["cases"]) >= 5


@pytest.mark.parametrize("case", **named(CASES))
def test_a_golden_request_becomes_its_events_and_its_reasons(case):
    translated = FRONTS[case["front"]](case["payload"], case.get("headers", {}))
    assert parted(translated) == (case["events"], case["left_out"])


@pytest.mark.parametrize("case", **named(CASES))
def test_the_events_of_a_golden_request_keep_to_the_contract_and_come_back(case):
    for fields in case["events"]:
        event = decode_event(json.dumps(fields).encode(), ORIGIN, EventRules())
        assert event.event_id == fields["event_id"]
        assert decode_event(encode_event(event), ORIGIN, EventRules()) == event


@pytest.mark.parametrize("case", **named(CASES))
def test_a_retry_has_the_same_event_ids(case):
    once, again = (FRONTS[case["front"]](case["payload"], case.get("headers", {})) for _ in range(2))
    assert once == again


def check(translated):
    for found in translated:
        if isinstance(found, LeftOut):
            assert found.reason in REASONS
            assert 0 < len(found.message) < 300
            continue
        refused = raised(InvalidEvent, decode_event, json.dumps(found).encode(), ORIGIN, EventRules())
        assert refused is None or refused.reason in REASONS


@pytest.mark.parametrize("name", FRONTS)
def test_no_payload_raises(name):
    @settings(max_examples=50)
    @given(anything, HEADERS)
    def run(payload, headers):
        check(FRONTS[name](payload, headers))

    run()


@pytest.mark.parametrize("name", FRONTS)
def test_a_damaged_request_becomes_events_or_reasons(name):
    @settings(max_examples=150)
    @given(damaged([case["payload"] for case in golden(name)["cases"]]), HEADERS)
    def run(payload, headers):
        check(FRONTS[name](payload, headers))

    run()


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("payload", [None, [], {}, "text", 1, True])
def test_a_payload_of_another_kind_says_what_was_expected(name, payload):
    for found in FRONTS[name](payload, {}):
        assert isinstance(found, LeftOut)
        assert found.reason in {"wrong_type", "missing_type"}


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("case", **named(CASES))
def test_nesting_without_end_is_a_reason(case):
    payload = json.loads(json.dumps(case["payload"]))
    events = next((payload[key] for key in ("batch", "events", "data", "eventList") if key in payload), None)
    for event in events if isinstance(events, list) else [payload]:
        if isinstance(event, dict):
            event["deep"] = nested(100_000)
    for found in FRONTS[case["front"]](payload, case.get("headers", {})):
        assert isinstance(found, LeftOut | dict)
