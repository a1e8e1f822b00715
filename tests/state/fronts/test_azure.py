from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.errors import InvalidRequest
from state.fronts.azure import (
    Decision,
    activated,
    asked,
    error_answer,
    rank,
    rank_answer,
    rewarded,
)
from tests.state.fronts.cases import anything, damaged, golden, raised

GOLDEN = golden("azure")
REQUEST = GOLDEN["rank"]["request"]


def test_the_golden_call_is_answered():
    asks = asked(REQUEST)
    ranked = rank(asks, GOLDEN["rank"]["slate"], asks.event_id, epsilon=GOLDEN["rank"]["epsilon"])
    assert rank_answer(asks.event_id, ranked) == GOLDEN["rank"]["response"]
    decision = Decision(asks.event_id, asks.user_id, ranked.chosen, "events-3-1820033")
    for name in ("reward", "no_reward"):
        assert rewarded(decision, GOLDEN[name]["request"]) == GOLDEN[name]["event"]
    assert activated(decision) == GOLDEN["activate"]["event"]


def test_a_call_says_whose_it_is_what_may_be_chosen_and_whether_it_will_be_seen():
    asks = asked(REQUEST | {"deferActivation": True, "eventId": None})
    assert (asks.event_id, asks.user_id, asks.is_deferred) == (None, "u-4821193", True)
    assert asks.actions == ("sku-7", "sku-553210", "sku-1184422")
    assert asks.excluded == {"sku-553210"}


@pytest.mark.parametrize(
    ("features", "user"),
    [
        (None, None),
        ([{"timeOfDay": "Evening"}], None),
        ([{"userId": "a"}], "a"),
        ([{"x": 1}, {"profile": {"USER_ID": 7}}], "7"),
        ([{"userId": True}], None),
    ],
)
def test_the_user_is_a_feature_of_the_context(features, user):
    assert asked(REQUEST | {"contextFeatures": features}).user_id == user


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"actions": None}, "actions"),
        ({"actions": []}, "actions"),
        ({"actions": [{"id": str(n)} for n in range(51)]}, "actions"),
        ({"actions": [{"id": "a"}, {"id": "a"}]}, "actions"),
        ({"actions": [7]}, "actions[0]"),
        ({"actions": [{"id": ""}]}, "actions[0].id"),
        ({"actions": [{"id": "a\n"}]}, "actions[0].id"),
        ({"excludedActions": "a"}, "excludedActions"),
        ({"excludedActions": ["sku-7", "sku-553210", "sku-1184422"]}, "excludedActions"),
        ({"eventId": ""}, "eventId"),
        ({"eventId": "x" * 257}, "eventId"),
        ({"deferActivation": "yes"}, "deferActivation"),
        ({"contextFeatures": {}}, "contextFeatures"),
        ({"contextFeatures": [{"userId": ""}]}, "contextFeatures.userId"),
    ],
)
def test_a_wrong_call_says_which_field(changed, field):
    with pytest.raises(InvalidRequest) as caught:
        asked(REQUEST | changed)
    assert caught.value.field == field


def test_probabilities_are_those_of_the_draw():
    asks = asked({"actions": [{"id": name} for name in "abcd"], "excludedActions": ["b"]})
    drawn = [rank(asks, ["d", "x", "a"], f"event-{n}", epsilon=0.3) for n in range(6000)]
    counts = Counter(ranked.chosen for ranked in drawn)
    told = dict(drawn[0].probabilities)
    assert told == pytest.approx({"a": 0.1, "b": 0.0, "c": 0.1, "d": 0.8})
    assert counts["b"] == 0
    for action, probability in told.items():
        # Four standard deviations of a binomial share, at most 0.02.
        assert counts[action] / len(drawn) == pytest.approx(probability, abs=0.021)


def test_an_excluded_action_keeps_its_place_and_the_chosen_one_leads_the_others():
    asks = asked({"actions": [{"id": name} for name in "abcd"], "excludedActions": ["a"]})
    ranked = rank(asks, ["d", "c"], "e", epsilon=0.0)
    assert [action for action, _ in ranked.probabilities] == ["a", "d", "c", "b"]
    assert dict(ranked.probabilities)["d"] == 1.0


def test_without_a_slate_the_first_that_the_caller_would_show_is_the_best():
    asks = asked({"actions": [{"id": "b"}, {"id": "a"}]})
    assert rank(asks, [], "e", epsilon=0.0).chosen == "b"


@given(
    st.lists(st.text(min_size=1, max_size=3).filter(str.isprintable), min_size=1, max_size=8, unique=True),
    st.data(),
)
@settings(max_examples=60)
def test_every_call_is_answered_with_all_actions_once_and_probabilities_that_add_up(actions, data):
    excluded = data.draw(st.lists(st.sampled_from(actions), max_size=len(actions) - 1, unique=True))
    preferred = data.draw(st.lists(st.sampled_from(actions), max_size=5))
    epsilon = data.draw(st.floats(0, 1))
    asks = asked({"actions": [{"id": action} for action in actions], "excludedActions": excluded})
    ranked = rank(asks, preferred, data.draw(st.text(max_size=5)), epsilon=epsilon)
    told = dict(ranked.probabilities)
    assert sorted(told) == sorted(actions)
    assert sum(told.values()) == pytest.approx(1.0)
    assert ranked.chosen not in excluded
    assert told[ranked.chosen] > 0 or epsilon == 0


@pytest.mark.parametrize("value", [None, "1", True, 1.5, -2, float("nan"), []])
def test_a_reward_out_of_range_is_refused(value):
    decision = Decision("e", "u", "a", None)
    with pytest.raises(InvalidRequest, match="value must be"):
        rewarded(decision, {"value": value})
    assert "slate_id" not in rewarded(decision, {"value": -0.5})


@settings(max_examples=100)
@given(anything | damaged([REQUEST]))
def test_no_payload_raises_but_a_refusal(payload):
    decision = Decision("e", "u", "a", "s")
    for read in (asked, lambda body: rewarded(decision, body)):
        refused = raised(InvalidRequest, read, payload)
        assert refused is None or (refused.field and refused.detail)


def test_an_error_has_the_shape_that_clients_read():
    assert error_answer("BadRequest", "actions names an id twice", "actions") == (
        400,
        {"error": {"code": "BadRequest", "message": "actions names an id twice", "target": "actions"}},
    )
