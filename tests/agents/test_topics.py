"""The commands of the topics, with nothing to connect to."""

import pytest
from typer.testing import CliRunner

from agents import commands, topics
from stream.topic_check import Problem

WRONG = Problem("events does not exist: run `freshslate topics create`", stops=True)
RISK = Problem("deltas has retention.ms=0, below 1", stops=False)


@pytest.mark.parametrize(
    ("problems", "code"), [([], 0), ([WRONG], 1), ([WRONG, RISK], 1), ([RISK], topics.RISKY)]
)
def test_a_check_tells_each_problem_in_a_line_and_its_weight_in_the_exit_code(
    problems: list[Problem], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told(settings: object) -> list[Problem]:
        return problems

    monkeypatch.setattr(topics, "cluster_problems", told)
    result = CliRunner().invoke(commands.app, ["topics", "check"])
    assert result.exit_code == code
    lines = [f"{'wrong' if problem.stops else 'risk'}: {problem.text}" for problem in problems]
    assert result.stderr.splitlines() == lines
    assert result.stdout == ("" if problems else "8 topics are as they should be\n")
