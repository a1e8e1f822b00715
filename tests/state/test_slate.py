import pytest
from msgspec.structs import fields

from state.slate import SCHEMA_VERSION, Delta, Learned, Reward, Slate, SlateItem, Source, Span, Trigger


def slate(**changed):
    fields = {
        "slate_id": "events-0-1",
        "user_id": "u",
        "tenant": "default",
        "scenario": "feed",
        "time": 1,
        "trigger": Trigger("e", 1, "events", 0, 1),
        "policy": "softmax",
        "policy_version": "v",
        "seed": 1,
        "candidates": 1,
        "candidates_hash": "0" * 16,
        "items": (SlateItem("a", 1, 0.5, 1.0, (Source("popularity", 0.5),)),),
    }
    return Slate(**(fields | changed))


def test_equal_decisions_are_equal_values():
    assert slate() == slate()
    assert slate() != slate(seed=2)


def test_a_slate_does_not_change():
    with pytest.raises(AttributeError):
        slate().seed = 2


def test_answers_name_their_schema():
    delta = Delta(
        partition=0,
        spans=(Span("events", 1, 2),),
        events=2,
        duplicates=0,
        dead_letters=0,
        slates=0,
        items=(),
        item=(),
        session=(),
        time=(),
        type=(),
    )
    assert slate().schema_version == delta.schema_version == SCHEMA_VERSION
    assert {each.name: each.default for each in fields(Reward)}["schema_version"] == SCHEMA_VERSION


def test_a_slate_probability_may_be_too_small_to_say():
    assert slate().slate_propensity is None


def test_a_lesson_is_a_plain_tuple():
    assert Learned("a", 7, 1, 2) == ("a", 7, 1, 2)
