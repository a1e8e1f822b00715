"""A slate as JSON."""

import json

from stream.api.answers import render
from stream.api.store import SHOWN, SlateStore
from tests.stream.api.fakes import slate_of

SLATE = SHOWN.decode(slate_of("u1", number=4, event_id="e9"))


def test_an_answer_has_what_is_needed_to_show_and_to_judge_it() -> None:
    body = json.loads(render("own", SLATE, None).body)
    assert list(body) == [
        "kind",
        "slate_id",
        "user_id",
        "tenant",
        "scenario",
        "time",
        "trigger_event_id",
        "policy",
        "policy_version",
        "items",
    ]
    assert (body["slate_id"], body["trigger_event_id"], body["user_id"]) == ("events-0-4", "e9", "u1")
    assert [(item["item_id"], item["position"]) for item in body["items"]] == [
        ("i1", 1),
        ("i2", 2),
        ("i3", 3),
    ]
    assert all(0 < item["propensity"] <= 1 for item in body["items"])


def test_a_popular_slate_names_none_that_feedback_could_answer() -> None:
    body = json.loads(render("popular", SLATE, 2).body)
    assert (body["kind"], body["slate_id"], body["trigger_event_id"]) == ("popular", None, None)
    assert len(body["items"]) == 2


def test_equal_tags_are_equal_bytes() -> None:
    made = [render("own", SLATE, limit) for limit in (None, 1, 2)] + [render("fresh", SLATE, None)]
    assert len({each.etag for each in made}) == len({each.body for each in made}) == 4
    store = SlateStore(1 << 20)
    store.put("u1", slate_of("u1", number=4, event_id="e9"), 1)
    kept = store.latest("u1", "feed")
    assert kept is not None
    assert render("own", kept.shown(), None) == made[0]
