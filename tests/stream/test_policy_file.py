import asyncio

import numpy as np
import pytest

import stream.watched_file
from state.errors import InvalidPlan, SetupError
from state.policy.linear_ts import LinearTS
from state.policy.plan import Plan
from state.policy.river_model import RiverModel
from state.policy.softmax import Softmax
from stream.policy_file import PolicyFile, hand_over, line_of, load_plan, read_plan
from stream.worker_metrics import POLICY_FILE_INFO, POLICY_FILE_REFUSED, WorkerMetrics
from tests.stream.distributions import install
from tests.stream.fakes import until

FIRST = """salt = "autumn"
[[arm]]
policy = "linear_ts"
share = 0.9
epsilon = 0.05

[[arm]]
policy = "softmax"
share = 0.1

[[scenario.video.arm]]
policy = "random"
share = 1
"""
RIVER = """[[arm]]
policy = "river_model"
model = "linear_model.LinearRegression"
explore = "epsilon_greedy"
epsilon = 0.1
share = 1.0
"""


def plan_of(text):
    return read_plan(text.encode())


def test_the_file_says_who_is_served_by_what():
    plan = plan_of(FIRST)
    assert isinstance(plan, Plan)
    assert plan.salt == "autumn"
    (thompson, its), (soft, rest) = plan.arms[""]
    assert (thompson.version, its) == (LinearTS(epsilon=0.05).version, 0.9)
    assert (soft.version, rest) == (Softmax().version, 0.1)
    assert {plan.policy_of(f"u{n}", "video").name for n in range(50)} == {"random"}
    assert {plan.policy_of(f"u{n}", "cart").name for n in range(200)} == {"linear_ts", "softmax"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FIRST.replace("0.1", "0.2"), "line 2: arm: the shares sum to 1.1; they must sum to 1"),
        (FIRST.replace("0.05", "7"), r"line 5: arm 1.epsilon: epsilon must be in \[1e-06, 1\]"),
        (FIRST.replace('"softmax"', '"soft"'), "line 8: arm 2.policy: 'soft' is neither one of"),
        (FIRST.replace('"random"', "3"), "line 12: scenario.video.arm 1.policy: 3 is not text"),
        (FIRST + "salt = 3\n", "line 14: scenario.video.arm 1.salt: random has no such parameter"),
        (FIRST.replace("share = 0.9\n", ""), "line 2: arm 1.share: is missing"),
        (FIRST.replace("salt", "slat"), "line 1: slat: there is no such key"),
        (RIVER.replace("LinearRegression", "Nothing"), "line 3: arm 1.model: river has no"),
        (RIVER.replace('"epsilon_greedy"', '"softmax"'), "line 4: arm 1.explore: 'softmax' is not one of"),
        ("salt = 'x'\n", r"arm: write at least one \[\[arm\]\]"),
        ("[[arm]]\npolicy = \n", "line 2"),
    ],
)
def test_what_is_wrong_is_told_with_line_place_and_reason(text, told):
    with pytest.raises(InvalidPlan, match=told):
        plan_of(text)


def test_every_problem_is_told_at_once():
    text = FIRST.replace("0.05", "7").replace('"random"', '"nobody"')
    with pytest.raises(InvalidPlan) as error:
        plan_of(text)
    assert len(error.value.problems) == 2


def test_the_line_of_a_quoted_or_dotted_table_is_found():
    text = ["[[ arm ]] # first", "share = 1", '[[scenario."my video".arm]]', '"share" = 2']
    assert line_of(text, ("scenario", "my video", "arm", 0, "share")) == 4
    assert line_of(text, ("arm", 0)) == 1
    assert line_of(text, ("arm", 3, "share")) == 0


def test_a_plugged_in_policy_may_serve_and_takes_no_parameters(tmp_path, monkeypatch):
    code = (
        "from state.policy.uniform import Uniform\n"
        "class Mine(Uniform):\n    name = 'mine'\n    version = '00000000'\n    def __init__(self): pass\n"
    )
    groups = {"freshslate.policies": {"mine": "mine_policy:Mine"}}
    monkeypatch.syspath_prepend(install(tmp_path, "acme-mine", {"mine_policy.py": code}, groups))
    plan = plan_of('[[arm]]\npolicy = "mine"\nshare = 1\n')
    assert plan.policies[0].name == "mine"
    with pytest.raises(InvalidPlan, match=r"line 4: arm 1.epsilon: mine is a plug-in"):
        plan_of('[[arm]]\npolicy = "mine"\nshare = 1\nepsilon = 1\n')


def test_a_model_that_is_named_again_goes_on_with_what_it_has_learned():
    old, new = plan_of(RIVER), plan_of(RIVER.replace("0.1", "0.2"))
    (before,), (after,) = old.policies, new.policies
    assert isinstance(before, RiverModel)
    before.learner.learn(np.full(11, 255, np.uint8), 1.0, 1.0)
    hand_over(old, new)
    assert after.learner is before.learner
    assert after.version != before.version


def test_a_missing_file_is_a_setup_error(tmp_path):
    with pytest.raises(SetupError, match=r"none\.toml cannot be followed: No such file"):
        load_plan(tmp_path / "none.toml")


# Watching --------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(FIRST)
    return path


async def test_a_change_is_warmed_then_followed_and_a_wrong_one_refused(path, monkeypatch, caplog):
    monkeypatch.setattr(stream.watched_file, "LOOK_SECONDS", 0.001)
    metrics, done = WorkerMetrics(), []
    file = PolicyFile(
        path,
        lambda plan: done.append(("follow", plan.version)),
        lambda plan: done.append(("warm", plan.version)),
        metrics,
    )
    first = plan_of(FIRST).version
    assert done == [("follow", first)]
    task = asyncio.create_task(file.watch())
    path.write_text(FIRST.replace("0.05", "7"))
    await until(lambda: metrics.value(POLICY_FILE_REFUSED) == 1)
    assert "line 5: arm 1.epsilon: epsilon must be in [1e-06, 1]" in caplog.text
    assert f"got 7; version {first} stays in force" in caplog.text
    assert list(metrics._values[POLICY_FILE_INFO]) == [(first,)]
    path.write_text(RIVER)
    second = plan_of(RIVER).version
    await until(lambda: len(done) == 3)
    assert done[1:] == [("warm", second), ("follow", second)]
    assert list(metrics._values[POLICY_FILE_INFO]) == [(second,)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
