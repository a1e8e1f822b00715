import io

import pytest
from rich.console import Console

from state.policy.greedy import Greedy
from state.policy.linear_ts import LinearTS
from state.policy.plan import Plan
from state.policy.softmax import Softmax
from stream.screens.policy import plan_json, print_plan


@pytest.fixture
def plan():
    return Plan([(LinearTS(), 0.9), (Softmax(), 0.1)], {"video": [(Greedy(), 1.0)]}, salt="autumn")


def test_every_arm_is_a_line_and_a_greedy_scenario_is_warned_of(plan):
    console = Console(file=io.StringIO(), width=100)
    print_plan(console, plan)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert f"all others linear_ts {LinearTS().version} 90.00% what was learned" in lines
    assert f"all others softmax {Softmax().version} 10.00% scores" in lines
    assert f"video greedy {Greedy().version} 100.00% scores" in lines
    assert f"version {plan.version}, users divided by the salt 'autumn'" in lines
    assert lines[-1] == "note: video: greedy serves everybody, so its log can judge no other policy"


def test_as_json_it_is_all_there(plan):
    said = plan_json(plan)
    assert (said["version"], said["salt"], len(said["notes"])) == (plan.version, "autumn", 1)
    assert [(arm["scenario"], arm["policy"], arm["share"]) for arm in said["arms"]] == [
        ("", "linear_ts", 0.9),
        ("", "softmax", 0.1),
        ("video", "greedy", 1.0),
    ]
