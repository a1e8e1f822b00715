"""What the page of fronts says is what they do."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from state.event import EVENT_TYPES, EventRules, Origin
from state.fronts import azure, ga4, personalize, segment, snowplow
from state.fronts.front import FRONTS
from stream.codecs import decode_event
from stream.config import load_settings

TEXT = (Path(__file__).parents[1] / "docs" / "fronts.md").read_text()
BLOCKS = [(name, json.loads(text)) for name, text in re.findall(r"```json ([\w-]+)\n(.*?)```", TEXT, re.S)]
EXAMPLES = [
    (name, sent, expected) for (name, sent), (kind, expected) in pairwise(BLOCKS) if kind == "becomes"
]


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M)[1]


def types_of(title):
    """Names of a vendor's events by their type, from the section's first table."""
    found = {}
    for names, kind in re.findall(r"^\| (`.+?) \| `(\w+)` \|$", section(title), re.M):
        if kind in EVENT_TYPES:
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", names), kind)
    return found


def test_every_front_has_an_example_and_a_row():
    assert {name for name, *_ in EXAMPLES} == set(FRONTS)
    assert set(re.findall(r"^\| \[`(\w+)`\]", TEXT, re.M)) == {*FRONTS, "azure"}


@pytest.mark.parametrize(("name", "sent", "expected"), EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_an_example_becomes_what_is_said(name, sent, expected):
    assert FRONTS[name](sent, {}) == [expected]
    rules = EventRules(formats={"it": name})
    event = decode_event(json.dumps(sent).encode(), Origin("it", 0, 1, 1_763_831_070_000), rules)
    assert event.user_id == "u-4821193"


@pytest.mark.parametrize(
    ("title", "types", "plain"),
    [
        ("Segment", segment.TYPES, str.lower),
        ("Google Analytics 4", ga4.TYPES, str),
        ("Snowplow", snowplow.TYPES, str),
        ("Amazon Personalize", personalize.TYPES, lambda name: name.replace(" ", "").lower()),
    ],
)
def test_the_tables_of_types_are_the_code(title, types, plain):
    assert {plain(name): kind for name, kind in types_of(title).items()} == dict(types)


def test_the_call_and_the_reward_of_azure_are_answered_as_is_said():
    said = dict(BLOCKS)
    asks = azure.asked(said["azure-rank"])
    ranked = azure.rank(asks, ["sku-1184422", "sku-7"], asks.event_id, epsilon=0.2)
    assert azure.rank_answer(asks.event_id, ranked) == said["azure-answer"]
    decision = azure.Decision(asks.event_id, asks.user_id, ranked.chosen, "events-3-1820033")
    assert azure.rewarded(decision, {"value": 0.5}) == said["azure-reward"]


def test_the_settings_of_the_page_are_right():
    given = dict(re.findall(r"^FRESHSLATE_(\w+)=(.*)$", TEXT, re.M))
    settings = load_settings(**{name.lower(): value for name, value in given.items()})
    assert settings.formats == {"web": "segment", "orders": "cloudevents"}
