"""`benchmarks/broker_loop.py` without its broker: what it starts workers with, the pure half, the table."""

import pytest

from benchmarks import broker_loop
from benchmarks.broker_loop import ENVIRONMENT, Pair, Report, arguments, in_process, table
from benchmarks.regret import LEARNING, Contender, Loop
from state.reward import reward_rules
from stream.config import load_settings
from stream.followed import learning_config


def test_the_workers_learn_as_the_pure_loop_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(policy="linear_ts")
    loop = Loop(Contender("linear_ts"), "clicks", 1)
    assert learning_config(settings) == LEARNING
    assert settings.exposures == loop.rules.exposing
    assert reward_rules(settings.rewards).version == loop.rules.reward.version


def test_the_pure_half_tells_learned_slates_from_random_ones() -> None:
    found = in_process(arguments(["--seconds", "20", "--rate", "200"]), 1)
    assert 0.0 < found["random"] < found["learned"] < 1.0


def test_the_table_has_shares_in_percent_and_the_paired_difference() -> None:
    pairs = [
        Pair(1, {"learned": 0.60, "random": 0.30}, {"learned": 0.58, "random": 0.31}),
        Pair(2, {"learned": 0.62, "random": 0.32}, {"learned": 0.62, "random": 0.31}),
    ]
    lines = table(Report({}, "linear_ts", 300.0, 120.0, pairs)).lines
    assert lines[0][:3] == ["linear_ts", "61.0", "60.0"]
    assert lines[0][3].startswith("+1.0 ± ")
    assert lines[1][:1] + lines[1][3:] == ["random", "+0.0 ± 12.7"]


def test_a_demo_that_fails_is_told_with_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_loop, "ENVIRONMENT", {**ENVIRONMENT, "FRESHSLATE_SLATE_SIZE": "none"})
    with pytest.raises(broker_loop.BenchmarkError, match="FRESHSLATE_SLATE_SIZE"):
        broker_loop.on_broker(arguments([]), 1)
