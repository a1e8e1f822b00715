import json
from struct import pack
from typing import ClassVar
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import REASONS, InvalidEvent, InvalidItem, InvalidRecord, UnreadableState
from state.event import EVENT_TYPES, Event, EventItem, EventRules, Origin
from state.parse import WIRE_FIELDS
from state.profile import (
    NEW_PROFILE,
    PROFILE_VERSION,
    Bought,
    OpenSlate,
    Profile,
    TouchedSlate,
    item_hashes,
)
from state.slate import Delta, Reward, Slate, SlateItem, Source, Span, Trigger
from stream.codecs import (
    Marker,
    decode_any_event,
    decode_delta,
    decode_event,
    decode_item,
    decode_marker,
    decode_profile,
    decode_reward,
    decode_slate,
    encode_delta,
    encode_event,
    encode_marker,
    encode_profile,
    encode_reward,
    encode_slate,
)

NOW = 1_763_831_000_000
ORIGIN = Origin("events", 3, 17, NOW)
RULES = EventRules()
CLICK = {"type": "click", "user_id": "u", "item_id": "a"}
SLATE = Slate(
    slate_id="events-0-1",
    user_id="u",
    tenant="default",
    scenario="feed",
    time=NOW,
    trigger=Trigger("e", NOW, "events", 0, 1),
    policy="softmax",
    policy_version="v",
    seed=2**53 - 1,
    candidates=1,
    candidates_hash="0" * 16,
    items=(SlateItem("a", 1, 0.5, 0.1, (Source("popularity", 0.5),)),),
)
REWARD = Reward(
    reward_id="r",
    slate_id="events-0-1",
    event_id="e",
    user_id="u",
    tenant="default",
    scenario="feed",
    item_id="a",
    position=1,
    type="click",
    time=NOW,
    reward=1.0,
    value=None,
    currency=None,
    propensity=0.1,
    policy="softmax",
    policy_version="v",
    delay_seconds=-0.5,
)
DELTA = Delta(
    partition=3,
    spans=(Span("events", 1, 2),),
    events=2,
    duplicates=0,
    dead_letters=0,
    slates=2,
    items=("a", "b"),
    item=(0, 1),
    session=(2**53 - 1, 0),
    time=(NOW, NOW + 1),
    type=(1, 2),
)


def refusal(function, *args):
    """The expected error of a call, or None."""
    try:
        function(*args)
    except (InvalidRecord, UnreadableState) as error:
        return error
    return None


def decode(value):
    return decode_event(value if isinstance(value, bytes) else json.dumps(value).encode(), ORIGIN, RULES)


class TestEvents:
    @pytest.mark.parametrize("time", ["2025-11-22T17:03:20Z", "2025-11-22T18:03:20+01:00", NOW, float(NOW)])
    def test_times_come_as_text_or_as_milliseconds(self, time):
        assert decode(CLICK | {"time": time}).time == NOW

    def test_a_time_without_a_zone_is_utc(self):
        assert decode(CLICK | {"time": "2025-11-22T17:03:20"}).time == NOW

    def test_unknown_fields_come_back(self):
        wire = CLICK | {"app": {"version": [7, 3]}, "items": [{"item_id": "a", "coupon": "X"}]}
        again = json.loads(encode_event(decode(wire)))
        assert again["app"] == {"version": [7, 3]}
        assert again["items"] == [{"item_id": "a", "quantity": 1.0, "coupon": "X"}]

    @pytest.mark.parametrize(
        ("reason", "value"),
        [
            ("null_value", None),
            ("too_large", b" " * 65_537),
            ("too_large", json.dumps(CLICK | {"query": "x" * 1_000_000}).encode()),
            ("not_json", b""),
            ("not_json", b"{"),
            ("not_json", b"\xff\xfe"),
            ("not_json", b'{"a": "\xff"}'),
            ("not_json", b'{"a": "\\ud800"}'),
            ("not_json", b'{"value": NaN}'),
            ("not_json", b'{"a":' * 10_000),
            ("not_json", b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
            ("wrong_type", b"[1]"),
            ("wrong_type", b"null"),
            ("wrong_type", b"17"),
            ("wrong_type", b"[" * 60_000),
            ("wrong_type", b'{"value": 1e999}'),
            ("wrong_type", b'{"user_id": ' + b"9" * 5000 + b"}"),
            ("wrong_time", json.dumps(CLICK | {"time": "yesterday"}).encode()),
            ("wrong_time", json.dumps(CLICK | {"time": "2025-02-30T00:00:00Z"}).encode()),
            ("wrong_time", json.dumps(CLICK | {"time": "9" * 60_000}).encode()),
            ("wrong_time", json.dumps(CLICK | {"time": "0001-01-01T00:00:00+23:59"}).encode()),
        ],
        ids=range(21),
    )
    def test_bytes_that_are_no_event_say_why(self, reason, value):
        with pytest.raises(InvalidEvent) as caught:
            decode_event(value, ORIGIN, RULES)
        assert caught.value.reason == reason
        assert len(caught.value.detail) < 300

    @given(st.binary(max_size=200))
    def test_any_bytes_give_an_event_or_a_reason(self, value):
        error = refusal(decode, value)
        assert error.reason in REASONS if error else isinstance(decode(value), Event)

    @given(st.data())
    def test_any_damage_to_an_event_gives_an_event_or_a_reason(self, data):
        whole = bytearray(
            json.dumps(
                CLICK
                | {"time": "2025-11-22T17:03:20Z", "items": [{"item_id": 1, "price": 2.5}], "x": {"y": [1]}}
            ).encode()
        )
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(whole) - 1))
            whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        error = refusal(decode, bytes(whole))
        if error is None:
            event = decode(bytes(whole))
            assert decode_event(encode_event(event), ORIGIN, RULES) == event
        else:
            assert error.reason in REASONS

    ids = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
    values = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5)

    @given(
        st.builds(
            Event,
            event_id=ids,
            type=st.sampled_from(EVENT_TYPES),
            user_id=ids,
            time=st.integers(NOW - RULES.max_age_ms, NOW + RULES.max_ahead_ms),
            tenant=ids.map(lambda text: text.replace("|", "/")),
            items=st.lists(
                st.builds(
                    EventItem,
                    ids,
                    st.floats(0.001, 1e6),
                    st.none() | st.floats(0, 1e12),
                    st.dictionaries(st.sampled_from(["coupon", "brand"]), values),
                ),
                min_size=1,
                max_size=5,
            ).map(tuple),
            session_id=st.none() | ids,
            slate_id=st.none() | ids,
            position=st.none() | st.integers(1, 10_000),
            value=st.none() | st.floats(-1e12, 1e12),
            currency=st.none() | st.text(max_size=16),
            order_id=st.none() | ids,
            query=st.none() | st.text(max_size=20),
            scenario=st.sampled_from(sorted(RULES.scenarios)),
            context=st.dictionaries(st.text(max_size=5), values, max_size=3),
            extra=st.dictionaries(st.sampled_from(["app", "utm", "anonymous"]), values),
        )
    )
    def test_every_event_survives_its_bytes(self, event):
        assert decode_event(encode_event(event), Origin("elsewhere", 0, 0, NOW), RULES) == event


# Every field's own types, others, and what JSON writers do to numbers; twice the same name too.
TEXTS = st.sampled_from(
    [
        '""',
        '"click"',
        '"search"',
        '"impression"',
        '"u"',
        '"a|b"',
        '"\\u00a0"',
        '"\\u0001"',
        '"feed"',
        '"2025-11-22T17:03:20Z"',
        '"2025-11-22"',
        json.dumps("x" * 300),
    ]
)
NUMBERS = st.sampled_from(
    [
        *("0", "-0", "1", "7.0", "7.5", "1e3", "1e400", "-1", "1.0e-5", "9007199254740993.0", "9" * 400),
        *(str(NOW), f"{NOW}.0", f"{NOW}.5", str(2**53), str(2**63), str(2**64), str(2**70)),
    ]
)
ODD = st.sampled_from(["null", "true", "[]", "{}", "[[]]", '{"a": 1}', '[{"item_id": "a"}]', "[1]"])
ANYTHING = TEXTS | NUMBERS | ODD
LIKELY = {"type": TEXTS, "user_id": TEXTS | NUMBERS, "item_id": TEXTS | NUMBERS, "time": TEXTS | NUMBERS}


@st.composite
def wire_objects(draw, names, likely):
    """A JSON object of fields of these names, most of them as they should be."""
    taken = draw(st.lists(st.sampled_from(names), max_size=8))
    fields = [(name, draw(likely.get(name, ANYTHING) | ANYTHING)) for name in [*likely, *taken]]
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields) + "}"


WIRE_ITEMS = st.lists(
    wire_objects(["item_id", "quantity", "price", "coupon"], {"item_id": TEXTS}), max_size=3
).map(lambda items: f"[{','.join(items)}]")
WIRE_EVENTS = wire_objects(
    [*sorted(WIRE_FIELDS) * 2, "unknown"], LIKELY | {"items": st.just("null") | WIRE_ITEMS}
)


@settings(max_examples=1500)
@given(WIRE_EVENTS | st.binary(max_size=50).map(lambda value: value.decode("latin1")))
def test_the_short_way_to_an_event_gives_what_the_long_way_gives(text):
    def outcome(decode):
        try:
            return decode(text.encode(), ORIGIN, RULES)
        except InvalidEvent as error:
            return error.reason, error.detail

    assert outcome(decode_event) == outcome(decode_any_event)


def test_the_short_way_is_taken():
    with patch("stream.codecs.decode_any_event") as long_way:
        assert decode(CLICK | {"time": "2025-11-22T17:03:20Z", "items": [{"item_id": 1}]}).user_id == "u"
        long_way.assert_not_called()
        decode(CLICK | {"unknown": 1})
        long_way.assert_called_once()


class TestItems:
    def test_a_catalogue_item(self):
        item = decode_item(b"7", b'{"item_id": 7, "title": "T", "price": 2, "color": "red"}')
        assert (item.item_id, item.title, item.price, item.available) == ("7", "T", 2.0, True)
        assert item.attributes == {"color": "red"}

    @pytest.mark.parametrize(
        ("reason", "key", "value"),
        [
            ("not_json", b"a", b"{"),
            ("wrong_type", b"a", b"[]"),
            ("wrong_id", b"\xff", b"{}"),
            ("missing_item", None, b"{}"),
            ("too_large", b"a", b" " * 70_000),
        ],
    )
    def test_a_record_that_is_no_item_says_why(self, reason, key, value):
        with pytest.raises(InvalidItem) as caught:
            decode_item(key, value)
        assert caught.value.reason == reason

    @given(st.none() | st.binary(max_size=20), st.binary(max_size=50))
    def test_any_bytes_give_an_item_or_a_reason(self, key, value):
        error = refusal(decode_item, key, value)
        assert error.reason in REASONS if error else decode_item(key, value).item_id


ANSWERS = [
    (SLATE, encode_slate, decode_slate),
    (REWARD, encode_reward, decode_reward),
    (DELTA, encode_delta, decode_delta),
]


class TestAnswers:
    @pytest.mark.parametrize(("answer", "encode", "decode"), ANSWERS)
    def test_answers_survive_their_bytes(self, answer, encode, decode):
        assert decode(encode(answer)) == answer

    @pytest.mark.parametrize(("answer", "encode", "decode"), ANSWERS)
    def test_unknown_fields_are_passed_over(self, answer, encode, decode):
        wire = json.loads(encode(answer)) | {"added_later": [1]}
        assert decode(json.dumps(wire).encode()) == answer

    @pytest.mark.parametrize(("answer", "encode", "decode"), ANSWERS)
    def test_a_newer_schema_is_an_error_that_says_so(self, answer, encode, decode):
        newer = msgspec.structs.replace(answer, schema_version=2)
        with pytest.raises(UnreadableState, match="it has version 2, this Freshslate knows version 1"):
            decode(encode(newer))

    @pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"a":' * 9_000])
    @pytest.mark.parametrize("decode", [decode_slate, decode_reward, decode_delta])
    def test_other_bytes_are_unreadable(self, decode, value):
        with pytest.raises(UnreadableState):
            decode(value)

    def test_a_propensity_keeps_every_bit(self):
        propensity = msgspec.msgpack.decode(pack(">Bf", 0xCA, 0.1))
        item = msgspec.structs.replace(SLATE.items[0], propensity=propensity)
        slate = msgspec.structs.replace(SLATE, items=(item,))
        assert decode_slate(encode_slate(slate)).items[0].propensity == propensity


slates = st.builds(
    OpenSlate,
    st.text(max_size=9),
    st.integers(0, 2**45),
    st.text(max_size=5),
    st.text(max_size=5),
    st.text(max_size=5),
    st.lists(st.text(max_size=3), max_size=10).map(item_hashes),
    st.binary(max_size=40),
    st.binary(max_size=2),
    st.binary(max_size=40),
    st.binary(max_size=3),
    st.lists(
        st.builds(
            Bought,
            st.integers(1, 255),
            st.integers(-(2**40), 2**40),
            st.integers(0, 2**32 - 1),
            st.floats(-9, 9),
            st.floats(1, 9),
            st.floats(0, 9),
            st.text(max_size=9),
        ),
        max_size=2,
    ).map(tuple),
)
touched = slates.map(lambda slate: TouchedSlate(*msgspec.structs.astuple(slate)))
profiles = st.builds(
    Profile,
    version=st.just(PROFILE_VERSION),
    session_key=st.integers(0, 2**53 - 1),
    session_id=st.none() | st.text(max_size=9),
    session_start=st.integers(0, 2**45),
    last_time=st.integers(0, 2**45),
    base=st.integers(0, 2**45),
    items=st.lists(st.text(max_size=9), max_size=4).map(tuple),
    times=st.lists(st.integers(-(2**40), 2**40), max_size=4).map(tuple),
    types=st.binary(max_size=4),
    counts=st.lists(st.integers(0, 2**40), max_size=12).map(tuple),
    seen=st.binary(max_size=12),
    open_slates=st.lists(slates, max_size=3).map(tuple),
    touched=st.lists(touched, max_size=2).map(tuple),
)


OLD_PROFILE = bytes.fromhex(
    "9c01cf00167822228b5aa5a3732d31cf0000019aac852bc0cf0000019aac88d540cf0000019aac852bc094a5736b752d"
    "31a5736b752d32a5736b752d32a5736b752d399400cdea60ce0001d4c0ce0003a980c404010205029a00010200000100"
    "010000c41e5ed85062756ffcb3209c5d0967943d0672215064628682b2e88bddf672689397aa6576656e74732d332d32"
    "cf0000019aac870094a466656564a7736f66746d6178a83963343733383562c410f8ddbec06eedb9b7d4bcb02e428cb7"
    "59c4100000003f0000803e0000003e0000803d97aa6576656e74732d332d33cf0000019aac87eaf4a466656564a7736f"
    "66746d6178a83963343733383562c410f8ddbec06eedb9b7d4bcb02e428cb759c4100000003f0000803e0000003e0000"
    "803d97aa6576656e74732d332d34cf0000019aac88d554a466656564a7736f66746d6178a83963343733383562c410f8"
    "ddbec06eedb9b7d4bcb02e428cb759c4100000003f0000803e0000003e0000803d"
)
"""As it was written when an open slate ended with its propensities, and a profile with its open slates."""


class TestProfiles:
    @given(profiles)
    def test_a_profile_survives_its_bytes(self, profile):
        assert decode_profile(encode_profile(profile)) == profile

    def test_equal_profiles_have_equal_bytes(self):
        assert encode_profile(Profile()) == encode_profile(NEW_PROFILE)

    def test_fields_added_later_are_passed_over(self):
        fields = msgspec.msgpack.decode(encode_profile(NEW_PROFILE))
        assert decode_profile(msgspec.msgpack.encode([*fields, "added later"])) == NEW_PROFILE

    def test_profiles_stored_before_there_were_exposures_and_touched_items_are_read(self):
        profile = decode_profile(OLD_PROFILE)
        assert (profile.version, profile.items, profile.touched) == (
            1,
            ("sku-1", "sku-2", "sku-2", "sku-9"),
            (),
        )
        assert [slate.slate_id for slate in profile.open_slates] == ["events-3-2", "events-3-3", "events-3-4"]
        for slate in profile.open_slates:
            assert [slate.position_of(f"sku-{n}") for n in range(5)] == [1, 2, 3, 4, None]
            assert [slate.propensity_at(n) for n in (1, 4)] == [0.5, 0.0625]
            assert (slate.seen, slate.context, slate.answered, slate.bought) == (b"", b"", b"", ())

    @pytest.mark.parametrize("rest", [[], [0, None, 0], [{"another": "shape"}]])
    def test_a_newer_version_is_an_error_that_says_so(self, rest):
        value = msgspec.msgpack.encode([PROFILE_VERSION + 1, *rest])
        with pytest.raises(UnreadableState, match="it has version 2, this Freshslate knows version 1"):
            decode_profile(value)

    @pytest.mark.parametrize("value", [b"", b"\xc1", b"{}", b"\x92\x01", b"\x91\xa1x", b"\x91" * 5000])
    def test_other_bytes_are_unreadable(self, value):
        with pytest.raises(UnreadableState, match="stored profile"):
            decode_profile(value)

    @given(st.binary(max_size=40))
    def test_any_bytes_give_a_profile_or_unreadable_state(self, value):
        error = refusal(decode_profile, value)
        assert error.what == "profile" if error else decode_profile(value).version == PROFILE_VERSION


class TestMarkers:
    @given(st.integers(-1, 2**62), st.text(max_size=30))
    def test_a_marker_survives_its_bytes(self, offset, writer):
        assert decode_marker(encode_marker(offset, writer)) == Marker(offset, writer)

    @pytest.mark.parametrize("value", [b"", b"\x91\x01", b"\xff", b"\x92\xa1a\x01"])
    def test_other_bytes_are_unreadable(self, value):
        with pytest.raises(UnreadableState, match="stored marker"):
            decode_marker(value)


class TestFormats:
    RULES = EventRules(formats={"web": "segment", "orders": "cloudevents", "mp": "ga4"})
    CALL: ClassVar = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "m",
        "userId": "u",
        "properties": {"sku": "a"},
    }

    def read(self, topic, value, headers=()):
        value = json.dumps(value).encode() if isinstance(value, dict | list) else value
        return decode_event(value, Origin(topic, 3, 17, NOW), self.RULES, headers)

    def test_the_topic_says_which_format_a_record_has(self):
        event = self.read("web", self.CALL)
        assert (event.event_id, event.type, event.user_id, event.time) == ("m", "view", "u", NOW)
        assert event.items == (EventItem("a", extra={"sku": "a"}),)
        assert self.read("events", CLICK).type == "click"
        assert refusal(self.read, "events", self.CALL).reason == "unknown_type"
        assert refusal(self.read, "web", CLICK).reason == "passed_over"

    def test_a_time_as_text_is_read_as_in_our_own_events(self):
        call = self.CALL | {"timestamp": "2025-11-22T17:03:20.000Z"}
        assert self.read("web", call).time == NOW
        assert refusal(self.read, "web", call | {"timestamp": "soon"}).reason == "wrong_time"

    def test_attributes_may_be_headers(self):
        headers = (("ce_specversion", b"1.0"), ("CE_ID", b"o-1"), ("ce_type", b"shop.purchase"), ("x", None))
        event = self.read("orders", CLICK | {"type": None}, headers)
        assert (event.event_id, event.type) == ("o-1", "purchase")
        structured = {
            "specversion": "1.0",
            "id": "o-2",
            "type": "shop.like",
            "data": {"user_id": "u", "item_id": "a"},
        }
        assert self.read("orders", structured).type == "like"
        assert self.read("orders", structured, (("ce_id", b"\xff"),)).event_id == "o-2"

    @pytest.mark.parametrize("count", [0, 2])
    def test_a_record_is_one_event(self, count):
        event = {"name": "view_item", "params": {"items": [{"item_id": "a"}]}}
        error = refusal(self.read, "mp", {"client_id": "c", "events": [event] * count})
        assert (error.reason, error.detail) == (
            "not_one_event",
            f"{count} events of ga4 in a record; it must be one",
        )

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (None, "null_value"),
            (b"{", "not_json"),
            (b"[" * 5000, "not_json"),
            (b"7", "wrong_type"),
            (b" " * 70_000, "too_large"),
            ({"type": "page"}, "passed_over"),
            ({"event": "Product Viewed", "properties": {"sku": "a"}}, "missing_user"),
            ({"event": "Product Viewed", "userId": "u"}, "missing_item"),
            ({"event": "Product Viewed", "userId": "u", "properties": {"sku": "a\n"}}, "wrong_id"),
        ],
    )
    def test_what_is_no_event_says_why(self, value, reason):
        assert refusal(self.read, "web", value).reason == reason

    @given(
        st.binary(max_size=40) | st.sampled_from([b"{}", b"[]", b"null", b'{"e": "ue"}', b'{"events": 7}'])
    )
    def test_any_bytes_give_an_event_or_a_reason(self, value):
        for topic in self.RULES.formats:
            error = refusal(self.read, topic, value)
            assert error is None or error.reason in REASONS
