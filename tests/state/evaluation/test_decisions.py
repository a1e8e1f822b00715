import math

import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from state.evaluation.decisions import LEFT_OUT, DecisionLog, contexts_of
from state.policy.context import CONTEXT, CONTEXT_SIZE, FULL
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.slate import Pool, SlateRules
from tests.state.evaluation.logged import DAY, reward, rewards_of, slates_of, world

LATER = DAY + 2 * 86_400_000
HOUR = 3_600_000
MADE = world(40, [(Softmax(), 0.5), (Uniform(), 0.5)])
SLATES = slates_of(MADE)
POOL = SLATES[0].pool
assert isinstance(POOL, Pool)


def log(since: int = DAY, until: int = LATER, mature: int = HOUR) -> DecisionLog:
    return DecisionLog(since, until, mature)


def test_a_log_comes_back_as_it_was_drawn() -> None:
    found = log()
    for slate in SLATES:
        found.add_slate(slate)
    for each in rewards_of(MADE, SLATES):
        found.add_reward(each)
    decisions = found.decisions()
    assert found.left_out() == {}
    assert not found.elsewhere
    most = decisions.drawn.scores.shape[1]
    np.testing.assert_array_equal(decisions.drawn.scores, MADE.drawn.scores[:, :most])
    np.testing.assert_array_equal(decisions.drawn.chosen, MADE.drawn.chosen)
    np.testing.assert_array_equal(decisions.contexts[0, :20], MADE.contexts[0, :20])
    np.testing.assert_allclose(decisions.propensities, MADE.propensities, rtol=1e-7)
    np.testing.assert_array_equal(decisions.rewards, MADE.rewards)
    assert [decisions.arm_names[arm] for arm in decisions.arms] == [MADE.arm_names[arm] for arm in MADE.arms]
    assert len(np.unique(decisions.users)) == 10
    assert decisions.scenario_names == ("feed",)


def test_corrections_subtract_and_feedback_counts_until_the_horizon() -> None:
    found, slate = log(), SLATES[0]
    found.add_slate(slate)
    for each in (
        reward(slate, 1, worth=5.0, after=-2_000),
        reward(slate, 1, worth=-5.0, after=HOUR, name="refund"),
        reward(slate, 2, worth=2.0),
        reward(slate, 2, worth=1.0, after=HOUR + 1),
    ):
        found.add_reward(each)
    assert found.decisions().rewards.tolist() == [[0.0, 2.0, 0.0]]
    assert found.elsewhere == {"late": 1}


def test_rewards_that_count_for_no_slate_are_counted() -> None:
    found, slate = log(), SLATES[0]
    found.add_slate(slate)
    found.add_slate(replace(SLATES[1], pool=UNSET))
    twice = reward(slate, 1)
    for each in (twice, twice, reward(slate, 4), reward(SLATES[1], 1), reward(SLATES[2], 1)):
        found.add_reward(each)
    assert found.elsewhere == {
        "repeated": 1,
        "wrong_position": 1,
        "left_out_slate": 1,
        "unknown_slate": 1,
    }
    assert found.decisions().rewards.sum() == 1


@pytest.mark.parametrize(
    ("slate", "reason"),
    [
        (replace(SLATES[0], pool=UNSET), "no_pool"),
        (replace(SLATES[0], time=LATER - HOUR + 1), "immature"),
        (replace(SLATES[0], time=DAY - 1), "outside"),
        (replace(SLATES[0], time=LATER), "outside"),
        (replace(SLATES[0], items=()), "empty"),
        (replace(SLATES[0], pool=replace(POOL, items=("x",), scores=(1.0,))), "foreign_item"),
        (replace(SLATES[0], pool=replace(POOL, scores=POOL.scores[1:])), "bad_pool"),
        (replace(SLATES[0], pool=replace(POOL, context="?")), "bad_pool"),
        (replace(SLATES[0], pool=replace(POOL, context="AAAA")), "bad_pool"),
        (replace(SLATES[0], pool=replace(POOL, scores=(*POOL.scores[:-1], -1.0))), "bad_pool"),
        (replace(SLATES[0], pool=replace(POOL, scores=(math.nan, *POOL.scores[1:]))), "bad_pool"),
        (replace(SLATES[0], items=(SLATES[0].items[0],) * 2), "bad_pool"),
        (replace(SLATES[0], items=(replace(SLATES[0].items[0], propensity=0.0),)), "bad_propensity"),
        (replace(SLATES[0], items=(replace(SLATES[0].items[0], propensity=1.5),)), "bad_propensity"),
    ],
)
def test_a_slate_that_cannot_be_used_is_counted_by_reason(slate, reason: str) -> None:
    found = log()
    found.add_slate(slate)
    found.add_slate(SLATES[1])
    assert found.left_out() == {reason: 1}
    assert reason in LEFT_OUT
    assert found.decisions().rows == 1


def test_a_slate_that_came_twice_counts_once() -> None:
    found = log()
    for _ in range(3):
        found.add_slate(SLATES[0])
    assert found.decisions().rows == 1
    assert found.left_out() == {"repeated": 2}


def test_a_reward_that_is_no_number_takes_its_slate_out() -> None:
    found = log()
    found.add_slate(SLATES[0])
    found.add_slate(SLATES[1])
    found.add_reward(reward(SLATES[0], 1, worth=math.nan))
    assert found.left_out() == {"bad_reward": 1}
    assert found.decisions().rows == 1


def test_all_slates_of_rules_that_limited_one_are_left_out() -> None:
    found = log()
    found.add_slate(replace(SLATES[0], rules=SlateRules("aaaaaaaa", 0, 0)))
    found.add_slate(replace(SLATES[1], rules=SlateRules("aaaaaaaa", 0, 3)))
    found.add_slate(replace(SLATES[2], rules=SlateRules("bbbbbbbb", 2, 0)))
    assert found.decisions().rows == 1
    assert found.left_out() == {"limited": 2}


def test_tenants_share_no_user() -> None:
    found = log()
    found.add_slate(SLATES[0])
    found.add_slate(replace(SLATES[1], tenant="other", user_id=SLATES[0].user_id))
    assert found.decisions().users.tolist() == [0, 1]


def test_a_pool_of_another_set_of_contexts_says_what_its_scores_say() -> None:
    made = contexts_of(Pool(("a", "b"), (4.0, 1.0), "whatever", "00000000"))
    assert made is not None
    assert made.shape == (2, CONTEXT_SIZE)
    by_name = dict(zip(CONTEXT, made.T.tolist(), strict=True))
    assert by_name["bias"] == [FULL, FULL]
    assert by_name["blend"] == [FULL, 64]
    assert by_name["rank"] == [FULL, 128]


def test_nothing_is_no_row() -> None:
    assert log().decisions().rows == 0


def test_slates_can_be_cut_below_a_position() -> None:
    cut = MADE.first(2)
    assert cut.rewards.shape == (40, 2)
    assert cut.drawn.chosen.shape == (40, 2)
    assert cut.drawn.sizes.max() == 2
    assert MADE.first(9).rewards.shape == (40, 3)


def test_slates_with_other_contexts_are_counted() -> None:
    found = log()
    found.add_slate(SLATES[0])
    found.add_slate(
        replace(
            SLATES[1],
            pool=replace(
                POOL, items=SLATES[1].pool.items, scores=SLATES[1].pool.scores, context_set="of old"
            ),
        )
    )
    assert found.decisions().rows == 2
    assert found.other_contexts == 1
