import io

import numpy as np
import pytest
from rich.console import Console

from state.evaluation.decisions import LEFT_OUT, Decisions
from state.policy.base import Policy
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.linear_ts import LinearTS
from state.policy.plan import Plan
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.posterior.beliefs import PRIOR
from stream.beliefs import Believed
from stream.offpolicy import Asked, Read, Window, evaluate_policy
from stream.screens.offpolicy import ELSEWHERE, notes, print_result
from tests.state.evaluation.logged import DAY, world

WARM, RANDOM = Softmax(temperature=0.3), Uniform()
LOG = world(2_000, [(WARM, 0.8), (RANDOM, 0.2)])


def printed(policy: Policy, decisions: Decisions = LOG, **read: dict[str, int]) -> str:
    found = evaluate_policy(
        Read(decisions, read.get("left_out", {}), read.get("elsewhere", {})),
        Plan([(policy, 1.0)]),
        Asked(by=("day",)),
        known=[WARM, RANDOM],
    )
    screen = io.StringIO()
    print_result(Console(file=screen, width=160), found, "softmax:temperature=0.2", Window(DAY, DAY + 1, 0))
    return " ".join(screen.getvalue().split())


def test_the_policy_stands_beside_the_logged_ones_with_what_it_means() -> None:
    text = printed(Softmax(temperature=0.2))
    assert "judged on 2,000 slates of 500 users" in text
    assert "weights from the logged policies' mixture" in text
    for name in (WARM.version, RANDOM.version, "all that can judge", "snips", "1970-01-01"):
        assert name in text
    assert "dr_os, switch_dr and dm lean on a reward model" in text
    assert "It would earn more than the logged policies did, by" in text
    assert "users in each group (two-sided 5 %, power 80 %" in text


def test_a_policy_like_the_logged_ones_shows_no_difference() -> None:
    own = world(400, [(WARM, 1.0)], seed=2)
    assert "No difference to the logged policies is shown" in printed(WARM, own)


def test_a_refusal_says_why_and_what_can_be_judged() -> None:
    text = printed(EpsilonGreedy(epsilon=1e-6))
    assert "The log cannot judge this policy: effective sample size" in text
    assert "refused: effective sample size" in text
    assert "the first 1 positions can be judged: --positions 1" in text


def test_few_users_are_said() -> None:
    assert "Too few users for an interval" in printed(WARM, world(100, [(WARM, 1.0)]))


def test_what_was_left_out_is_said_for_every_reason() -> None:
    counts = {reason: number + 1 for number, reason in enumerate(LEFT_OUT)}
    elsewhere = dict.fromkeys(ELSEWHERE, 7)
    text = printed(WARM, left_out=counts, elsewhere=elsewhere)
    for reason, count in counts.items():
        assert f"{count:,} slates are left out: {LEFT_OUT[reason]}" in text
    for reason in ELSEWHERE:
        assert f"7 rewards {ELSEWHERE[reason]}" in text


def test_policies_that_judge_nobody_and_slates_that_contradict_are_said() -> None:
    stiff = np.where((LOG.arms == 1)[:, None], 1.0, LOG.propensities)
    assert f"slates of random/{RANDOM.version} judge nobody" in printed(
        WARM, LOG._replace(propensities=stiff)
    )
    wrong = np.where(np.arange(LOG.rows)[:, None] < 3, 0.5, LOG.propensities)
    assert "3 slates have other propensities" in printed(WARM, LOG._replace(propensities=wrong))


@pytest.mark.parametrize(
    ("exposures", "said"),
    [
        (
            12_345.0,
            "judged as they would have begun: by what 12,345 matured exposures before --from had taught",
        ),
        (0.0, "nothing had been learned before --from"),
    ],
)
def test_what_a_learning_policy_went_by_is_said(exposures: float, said: str) -> None:
    found = evaluate_policy(
        Read(LOG, {}, {}),
        Plan([(LinearTS(epsilon=0.5), 1.0)]),
        Asked(),
        believed=Believed(PRIOR, exposures, 0),
    )
    assert any(said in note for note in notes(found))
