import pytest

from state.errors import InvalidPlan
from state.policy.plan import Plan, parse_plan
from state.policy.registry import build_policy
from state.policy.shares import Shares
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform

SOFT, RANDOM = Softmax(), Uniform()
USERS = [f"u{n}" for n in range(2000)]


def arm(policy, share, **parameters):
    return {"policy": policy, "share": share, **parameters}


def problems(fields):
    with pytest.raises(InvalidPlan) as error:
        parse_plan(fields, build_policy)
    return list(error.value.problems)


def test_a_scenario_without_arms_of_its_own_has_those_of_all_others():
    plan = Plan([(SOFT, 1.0)], {"video": [(RANDOM, 1.0)]})
    assert plan.policy_of("ann", "video") is RANDOM
    assert plan.policy_of("ann", "cart") is plan.policy_of("ann", "") is SOFT
    assert plan.policies == (SOFT, RANDOM)


def test_users_are_divided_as_shares_divide_them():
    plan, shares = Plan([(SOFT, 0.7), (RANDOM, 0.3)], salt="x"), Shares([(SOFT, 0.7), (RANDOM, 0.3)], "x")
    assert [plan.policy_of(user, "video") for user in USERS] == [shares.policy_of(user) for user in USERS]


def test_a_user_has_the_same_place_in_every_scenario():
    plan = Plan([(SOFT, 0.7), (RANDOM, 0.3)], {"video": [(SOFT, 0.9), (RANDOM, 0.1)]})
    random = [{user for user in USERS if plan.policy_of(user, name) is RANDOM} for name in ("", "video")]
    assert 120 < len(random[1]) < 280
    assert random[1] < random[0]


def test_another_salt_divides_anew():
    first, second = (Plan([(SOFT, 0.5), (RANDOM, 0.5)], salt=salt) for salt in ("a", "b"))
    moved = sum(first.policy_of(user, "") is not second.policy_of(user, "") for user in USERS)
    assert 800 < moved < 1200


def test_equal_plans_have_equal_versions_and_any_change_makes_another():
    fields = {"arm": [arm("softmax", 0.5), arm("random", 0.5)]}
    changed = [
        fields | {"salt": "b"},
        {"arm": [arm("softmax", 0.6), arm("random", 0.4)]},
        {"arm": [arm("softmax", 0.5, temperature=0.2), arm("random", 0.5)]},
        fields | {"scenario": {"video": {"arm": [arm("random", 1)]}}},
    ]
    versions = [parse_plan(each, build_policy).version for each in (fields, fields, *changed)]
    assert versions[0] == versions[1]
    assert len(set(versions)) == 5


def test_the_same_policy_in_two_scenarios_is_one():
    fields = {"arm": [arm("linear_ts", 1)], "scenario": {"video": {"arm": [arm("linear_ts", 1)]}}}
    plan = parse_plan(fields, build_policy)
    assert len(plan.policies) == 1
    assert plan.policy_of("ann", "") is plan.policy_of("ann", "video")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "arm: write at least one [[arm]] with policy and share"),
        ({"arm": {"policy": "random"}}, "arm: write at least one [[arm]] with policy and share"),
        ({"arm": [arm("random", 1)], "arms": 1}, "arms: there is no such key; known: salt, arm, scenario"),
        ({"arm": [arm("random", 1)], "salt": 1}, "salt: 1 is not text"),
        ({"arm": [arm("random", 1.5)]}, "arm 1.share: 1.5 is not a number in [0, 1]"),
        ({"arm": [arm("random", True)]}, "arm 1.share: True is not a number in [0, 1]"),
        ({"arm": [{"policy": "random"}]}, "arm 1.share: is missing"),
        ({"arm": [{"share": 1}]}, "arm 1.policy: is missing"),
        ({"arm": [arm("random", 0.5)]}, "arm: the shares sum to 0.5; they must sum to 1"),
        (
            {"arm": [arm("random", 0.5), arm("random", 0.5)]},
            "arm 2: is arm 1 again, with the same policy and parameters",
        ),
        (
            {"arm": [arm("random", 1)], "scenario": 3},
            "scenario: 3 is not a table; write [[scenario.NAME.arm]] for each arm",
        ),
        (
            {"arm": [arm("random", 1)], "scenario": {"video": {"share": 1}}},
            "scenario.video: holds nothing but [[scenario.NAME.arm]]",
        ),
        (
            {"arm": [arm("random", 1)], "scenario": {"video": {"arm": []}}},
            "scenario.video.arm: write at least one [[scenario.video.arm]] with policy and share",
        ),
    ],
)
def test_a_wrong_plan_is_refused_with_the_place_and_the_reason(fields, told):
    assert problems(fields) == [told]
