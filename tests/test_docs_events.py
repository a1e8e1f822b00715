import json
import re
from pathlib import Path

import pytest

from state.errors import REASONS
from state.event import EVENT_TYPES, POSITIVE_TYPES, SCENARIOS, TOPIC_TYPES, EventRules, Origin
from state.parse import WireEvent, WireItem, event_fields
from state.parse_item import WireCatalogueItem
from state.slate import Delta, Reward, Slate
from stream.codecs import (
    decode_delta,
    decode_event,
    decode_item,
    decode_reward,
    decode_slate,
    encode_delta,
    encode_event,
    encode_reward,
    encode_slate,
)
from stream.heartbeat import heartbeat

TEXT = (Path(__file__).parents[1] / "docs" / "events.md").read_text()
EXAMPLES = re.findall(r"```json (\w+)\n(.*?)```", TEXT, re.S)
NOW = 1_763_831_070_000


def section(title):
    return re.search(rf"^##+ {title}\n(.*?)(?=^##+ |\Z)", TEXT, re.S | re.M)[1]


def rows(text):
    """First cells of a section's table rows, names in backticks only."""
    return {
        name
        for line in text.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }


def examples(*topics):
    return [value for topic, value in EXAMPLES if topic in topics]


def test_every_topic_of_json_has_an_example():
    topics = {"events", "clicks", "items", "slates", "rewards", "deltas"}
    assert {topic for topic, _ in EXAMPLES} - {"heartbeat"} == topics


def test_the_example_heartbeat_is_what_workers_send():
    (value,) = examples("heartbeat")
    assert json.loads(value) == json.loads(heartbeat(3, json.loads(value)["time"]))
    assert decode_event(value.encode(), Origin("events", 3, 5, NOW), EventRules()).is_heartbeat


@pytest.mark.parametrize(("topic", "value"), [each for each in EXAMPLES if each[0] in {"events", "clicks"}])
def test_example_events_are_read_and_come_back(topic, value):
    origin = Origin(topic, 3, 1_820_033, NOW)
    event = decode_event(value.encode(), origin, EventRules())
    assert event.extra == {}
    assert decode_event(encode_event(event), origin, EventRules()) == event
    for name, given in json.loads(value).items():
        known = event_fields(event).get(name)
        if name not in {"time", "user_id", "anonymous_id", "item_id", "items"}:
            assert known == given


def test_example_ids_may_be_numbers():
    _, purchase, least, wish = [
        decode_event(value.encode(), Origin("clicks", 0, 5, NOW), EventRules())
        for value in examples("events", "clicks")
    ]
    assert (purchase.user_id, [item.item_id for item in purchase.items]) == (
        "4821193",
        ["sku-1184422", "553210"],
    )
    assert (wish.type, wish.key) == ("forget", "u-4821193")
    assert (least.type, least.user_id, least.time, least.event_id) == ("click", "a-17", NOW, "clicks-0-5")


def test_the_example_item_is_read():
    (value,) = examples("items")
    fields = json.loads(value)
    item = decode_item(fields["item_id"].encode(), value.encode())
    assert {name: getattr(item, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("topic", "decode", "encode"),
    [
        ("slates", decode_slate, encode_slate),
        ("rewards", decode_reward, encode_reward),
        ("deltas", decode_delta, encode_delta),
    ],
)
def test_example_answers_are_what_is_written(topic, decode, encode):
    (value,) = examples(topic)
    assert json.loads(encode(decode(value.encode()))) == json.loads(value)


@pytest.mark.parametrize(
    ("title", "struct"),
    [("Items", WireCatalogueItem), ("Slates", Slate), ("Rewards", Reward), ("Deltas", Delta)],
)
def test_every_field_is_documented(title, struct):
    named = {re.split(r"[.\[]", name)[0] for name in rows(section(title))}
    assert named == set(struct.__struct_fields__)


def test_every_event_field_is_documented():
    expected = set(WireEvent.__struct_fields__) | {f"items[].{name}" for name in WireItem.__struct_fields__}
    assert rows(section("Events")) == expected


def test_every_reason_is_documented():
    assert {name for name in rows(section("Dead letters")) if "." not in name} == set(REASONS)


def test_the_table_of_types_is_the_code():
    table = [
        [cell.strip().replace("`", "") for cell in line.split("|")[1:-1]]
        for line in section("Types").splitlines()
        if line.startswith("| `")
    ]
    assert [row[0] for row in table] == list(EVENT_TYPES)
    implied = {topic: row[0] for row in table for topic in row[1].split(", ")}
    assert implied == dict(TOPIC_TYPES)
    assert {row[0] for row in table if row[4] == "yes"} == POSITIVE_TYPES


def test_the_documented_limits_are_the_defaults():
    rules = EventRules()
    for said in (
        f"{rules.max_bytes:,} bytes",
        f"at most {rules.max_items}",
        f"1 to {rules.max_id} characters",
        f"at most {rules.max_text} characters",
        f"[1, {rules.max_position}]",
        f"more than {rules.max_ahead_ms // 3_600_000} h ahead",
        f"more than {rules.max_age_ms // 86_400_000} days behind",
    ):
        assert said in TEXT
    assert all(f"`{scenario}`" in section("Events") for scenario in SCENARIOS)
