import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import REASONS, InvalidEvent
from state.event import EVENT_TYPES, HEARTBEAT_TENANT, TOPIC_TYPES, EventItem, EventRules, Origin
from state.parse import (
    EARLIEST,
    LATEST,
    MAX_DEPTH,
    WIRE_FIELDS,
    event_fields,
    heartbeat_fields,
    parse_event,
)

NOW = 1_763_831_000_000
RULES = EventRules()


def parse(topic="events", rules=RULES, **fields):
    return parse_event(fields, Origin(topic, 3, 17, NOW), rules)


def click(**fields):
    return parse(**({"type": "click", "user_id": "u", "item_id": "a"} | fields))


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"in": value}
    return value


def test_the_least_event_takes_everything_else_from_its_place_in_the_log():
    event = parse(topic="clicks", anonymous_id="a-1", item_id=5)
    assert (event.type, event.user_id, event.items) == ("click", "a-1", (EventItem("5"),))
    assert (event.event_id, event.time, event.tenant, event.scenario) == (
        "clicks-3-17",
        NOW,
        "default",
        "feed",
    )


def test_every_field_arrives():
    event = click(
        event_id="e",
        time=NOW - 5,
        tenant="shop",
        session_id="s",
        slate_id="l",
        position=4,
        value=9.5,
        currency="EUR",
        order_id="o",
        query="shoes",
        scenario="cart",
        context={"device": "tv"},
        schema_version=1,
    )
    assert (event.event_id, event.time, event.key) == ("e", NOW - 5, "shop|u")
    assert (event.session_id, event.slate_id, event.position) == ("s", "l", 4)
    assert (event.value, event.currency, event.order_id, event.query) == (9.5, "EUR", "o", "shoes")
    assert (event.scenario, event.context, event.extra) == ("cart", {"device": "tv"}, {})


@pytest.mark.parametrize(("topic", "type_"), TOPIC_TYPES.items())
def test_a_topic_supplies_a_missing_type(topic, type_):
    assert parse(topic=topic, user_id="u", item_id="a").type == type_


def test_a_given_type_wins_over_the_topic():
    assert parse(topic="clicks", type="like", user_id="u", item_id="a").type == "like"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("7", "7"),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (0, "0"),
        (-5, "-5"),
        (2**70, str(2**70)),
        ("a b", "a b"),
    ],
)
def test_an_id_may_be_a_number(given, text):
    assert click(user_id=given).user_id == text


@pytest.mark.parametrize("given", [7.5, 1e300, "x" * 257, "a\nb", "a\x00", "\x85", 10**300])
def test_an_id_may_not_be(given):
    with pytest.raises(InvalidEvent) as caught:
        click(user_id=given)
    assert caught.value.reason == "wrong_id"
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("empty", [None, ""])
def test_nothing_and_empty_text_are_absent(empty):
    event = click(user_id=empty, anonymous_id="a-1", session_id=empty, event_id=empty, tenant=empty)
    assert (event.user_id, event.session_id, event.event_id) == ("a-1", None, "events-3-17")
    assert event.tenant == "default"


def test_who_has_two_ids_keeps_the_second():
    assert click(anonymous_id=9).extra == {"anonymous_id": "9"}


class TestItems:
    def test_items_have_quantity_and_price(self):
        event = parse(
            type="purchase",
            user_id="u",
            items=[{"item_id": 1, "quantity": 2, "price": 9.5}, {"item_id": "b"}],
        )
        assert event.items == (EventItem("1", 2.0, 9.5), EventItem("b"))

    def test_an_item_id_beside_items_goes_first_unless_it_is_among_them(self):
        items = [{"item_id": "b"}, {"item_id": "c"}]
        assert [each.item_id for each in click(item_id="a", items=items).items] == ["a", "b", "c"]
        assert [each.item_id for each in click(item_id="c", items=items).items] == ["b", "c"]

    def test_unknown_fields_of_an_item_stay(self):
        assert click(items=[{"item_id": "a", "coupon": "X"}]).items[0].extra == {"coupon": "X"}

    def test_a_purchase_of_fifty_items_is_one_event(self):
        event = parse(type="purchase", user_id="u", items=[{"item_id": n} for n in range(50)])
        assert [item.item_id for item in event.items] == [str(n) for n in range(50)]

    @pytest.mark.parametrize("type_", sorted(set(EVENT_TYPES) - {"search"}))
    def test_every_type_but_a_search_needs_an_item(self, type_):
        with pytest.raises(InvalidEvent) as caught:
            parse(type=type_, user_id="u")
        assert caught.value.reason == "missing_item"

    def test_a_wish_to_be_forgotten_needs_a_user_alone(self):
        wish = parse(type="forget", user_id="u")
        assert (wish.type, wish.key, wish.items) == ("forget", "u", ())
        with pytest.raises(InvalidEvent, match="missing_user"):
            parse(type="forget")

    def test_a_search_needs_no_item_and_an_impression_of_a_slate_neither(self):
        assert parse(type="search", user_id="u", query="x").items == ()
        assert parse(type="impression", user_id="u", slate_id="s").items == ()


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("wrong_type", {"user_id": True}),
        ("wrong_type", {"user_id": ["u"]}),
        ("wrong_type", {"items": "a"}),
        ("wrong_type", {"items": ["a"]}),
        ("wrong_type", {"time": True}),
        ("wrong_type", {"position": 1.5}),
        ("wrong_type", {"position": "1"}),
        ("wrong_type", {"value": "9.99"}),
        ("wrong_type", {"context": []}),
        ("wrong_type", {"schema_version": True}),
        ("wrong_type", {"schema_version": "new"}),
        ("wrong_type", {"schema_version": {}}),
        ("unsupported_schema", {"schema_version": 2}),
        ("unsupported_schema", {"schema_version": "2.1", "items": "of a newer form"}),
        ("unsupported_schema", {"schema_version": "9" * 5000}),
        ("missing_type", {"type": None}),
        ("missing_type", {"type": ""}),
        ("unknown_type", {"type": "tap"}),
        ("missing_user", {"user_id": None}),
        ("missing_item", {"item_id": None}),
        ("missing_item", {"items": [{"quantity": 1}]}),
        ("too_many_items", {"items": [{"item_id": n} for n in range(101)]}),
        ("too_many_items", {"item_id": "x", "items": [{"item_id": n} for n in range(100)]}),
        ("wrong_id", {"tenant": "a|b"}),
        ("wrong_id", {"items": [{"item_id": 1.5}]}),
        ("wrong_time", {"time": NOW // 1000}),
        ("wrong_time", {"time": NOW * 1000}),
        ("wrong_time", {"time": -1}),
        ("wrong_time", {"time": 10**300}),
        ("time_in_future", {"time": NOW + RULES.max_ahead_ms + 1}),
        ("time_too_old", {"time": NOW - RULES.max_age_ms - 1}),
        ("wrong_value", {"position": 0}),
        ("wrong_value", {"position": 10**30}),
        ("wrong_value", {"value": 1e13}),
        ("wrong_value", {"value": float("nan")}),
        ("wrong_value", {"value": float("inf")}),
        ("wrong_value", {"items": [{"item_id": "a", "quantity": -1}]}),
        ("wrong_value", {"items": [{"item_id": "a", "quantity": 0}]}),
        ("wrong_value", {"items": [{"item_id": "a", "price": -0.01}]}),
        ("wrong_value", {"items": [{"item_id": "a", "price": float("nan")}]}),
        ("wrong_value", {"scenario": "home"}),
        ("wrong_value", {"currency": "x" * 17}),
        ("wrong_value", {"query": "x" * 1025}),
        ("wrong_value", {"context": nested(MAX_DEPTH + 2)}),
        ("wrong_value", {"unknown": nested(MAX_DEPTH + 2)}),
        ("wrong_value", {"items": [{"item_id": "a", "unknown": nested(MAX_DEPTH + 2)}]}),
    ],
)
def test_what_breaks_the_contract_says_why(reason, fields):
    with pytest.raises(InvalidEvent) as caught:
        click(**fields)
    assert caught.value.reason == reason
    assert caught.value.detail
    assert len(caught.value.detail) < 300


def test_every_reason_of_a_field_is_covered_above():
    of_fields = set(REASONS) - {"null_value", "too_large", "not_json", "passed_over", "not_one_event"}
    table = test_what_breaks_the_contract_says_why.pytestmark[0].args[1]
    assert {reason for reason, _ in table} == of_fields


def test_a_wrong_type_says_where():
    with pytest.raises(InvalidEvent, match=r"\$\.items\[1\]\.price"):
        click(items=[{"item_id": "a"}, {"item_id": "b", "price": "9"}])


@pytest.mark.parametrize("time", [NOW + RULES.max_ahead_ms, NOW - RULES.max_age_ms, NOW + 0.9])
def test_a_time_at_the_limit_counts(time):
    assert click(time=time).time == int(time)


@pytest.mark.parametrize("timestamp", [-1, 0, EARLIEST - 1, LATEST, 2**62])
def test_a_record_without_a_sensible_kafka_timestamp_is_refused(timestamp):
    fields = {"type": "click", "user_id": "u", "item_id": "a", "time": NOW}
    with pytest.raises(InvalidEvent) as caught:
        parse_event(fields, Origin("events", 0, 1, timestamp), RULES)
    assert caught.value.reason == "wrong_time"


@pytest.mark.parametrize("version", [None, 1, 1.0, "1", "1.7", 0])
def test_a_known_schema_is_read(version):
    assert click(schema_version=version).type == "click"


def test_limits_are_settings():
    rules = EventRules(max_items=2, scenarios=frozenset({"home"}), topic_types={"taps": "click"})
    assert parse(topic="taps", rules=rules, user_id="u", item_id="a", scenario="home").scenario == "home"
    with pytest.raises(InvalidEvent, match="at most 2"):
        parse(topic="taps", rules=rules, user_id="u", items=[{"item_id": n} for n in range(3)])


def test_the_nesting_allowed_is_the_nesting_written():
    assert click(context=nested(MAX_DEPTH)).context == nested(MAX_DEPTH)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
names = st.sampled_from([*sorted(WIRE_FIELDS), "unknown"])


@given(st.dictionaries(names, anything, max_size=8))
def test_any_fields_give_an_event_or_a_reason(fields):
    event, reason = None, None
    try:
        event = click(**fields)
    except InvalidEvent as error:
        reason = error.reason
    assert reason in REASONS if event is None else event.type in EVENT_TYPES


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6).filter(lambda name: name not in WIRE_FIELDS), scalars, max_size=4
    )
)
def test_an_event_survives_its_wire_form(unknown):
    known = {"type": "purchase", "user_id": "u", "items": [{"item_id": 3, "price": 2, "why": "gift"}]}
    event = parse_event(unknown | known, Origin("events", 0, 1, NOW), RULES)
    again = parse_event(event_fields(event), Origin("elsewhere", 5, 9, NOW + 1), RULES)
    assert json.dumps(event_fields(again)) == json.dumps(event_fields(event))


def test_a_heartbeat_is_an_event_of_its_partition():
    event = parse(**heartbeat_fields(3, NOW - 5))
    assert event.is_heartbeat
    assert (event.key, event.event_id, event.time) == (f"{HEARTBEAT_TENANT}|3", "events-3-17", NOW - 5)
    assert parse(**event_fields(event)) == event
    assert not click(tenant="freshslate").is_heartbeat


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "4"},
        {"user_id": 3},
        {"type": "impression", "slate_id": "s"},
        {"type": "click", "item_id": "a"},
        {"item_id": "a"},
        {"event_id": "e"},
        {"scenario": "cart"},
    ],
)
def test_no_event_of_a_shop_passes_for_a_heartbeat(changes):
    with pytest.raises(InvalidEvent, match="workers' own heartbeats") as raised:
        parse(**(heartbeat_fields(3, NOW) | changes))
    assert raised.value.reason == "wrong_id"
