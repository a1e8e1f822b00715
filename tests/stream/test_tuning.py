import sys
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from state.retrieval.config import ModelConfig
from stream.tuning import SEARCHED, SPACE, Trial, TuningError, tune

pytest.importorskip("optuna", reason="the extra tune is not installed: tuning is NOT checked here")


class Shop:
    """A made-up shop whose best parameters are known, and a clock of one second a trial."""

    def __init__(self) -> None:
        self.now = 0.0
        self.measured: list[ModelConfig] = []

    def clock(self) -> float:
        return self.now

    def measure(self, config: ModelConfig) -> Mapping[str, float]:
        self.now += 1.0
        self.measured.append(config)
        loss = abs(config.length_exponent - 0.9) + abs(config.rule_backward_weight - 0.8)
        return {"hr@20": 0.5 / (1 + loss), "mrr@20": 0.2 / (1 + loss), "predictions": 100}


def searched(seconds: float, start: ModelConfig | None = None, seed: int = 1) -> tuple[Shop, list[Trial]]:
    shop, trials = Shop(), []
    found = tune(
        shop.measure,
        start or ModelConfig(),
        seconds=seconds,
        seed=seed,
        on_trial=lambda trial, best: trials.append(trial),
        clock=shop.clock,
    )
    assert (found.trials, found.seconds) == (len(trials), shop.now)
    assert found.best.score == max(trial.score for trial in trials)
    assert found.start is trials[0]
    return shop, [found.best, *trials]


def test_the_search_begins_with_what_is_there_and_finds_better() -> None:
    start = ModelConfig(repeat_current_weight=0.7)
    shop, (best, first, *_) = searched(60, start)
    assert (first.config, first.score) == (start, 1.0)
    assert best.score > 1.2
    assert best.config.repeat_current_weight == 0.7
    assert shop.measured[0] == start


def test_the_budget_ends_the_search_and_the_start_is_always_measured() -> None:
    assert len(searched(0)[0].measured) == 1
    assert len(searched(7)[0].measured) == 7


def test_the_same_seed_tries_the_same_configurations() -> None:
    assert searched(25)[0].measured == searched(25)[0].measured
    assert searched(25)[0].measured != searched(25, seed=2)[0].measured


def test_every_parameter_is_tried_within_its_range() -> None:
    shop, _ = searched(60)
    for group in SPACE.values():
        for name, (low, high, _) in group.items():
            tried = {getattr(config, name) for config in shop.measured}
            assert len(tried) > 3, name
            assert low <= min(tried), name
            assert max(tried) <= high, name
            assert {type(value) for value in tried} == {type(getattr(ModelConfig(), name))}, name
    untouched = set(ModelConfig.__struct_fields__) - SEARCHED
    for name in untouched:
        assert {getattr(config, name) for config in shop.measured} == {getattr(ModelConfig(), name)}


def test_a_start_out_of_the_ranges_is_searched_around_all_the_same() -> None:
    _, (best, first, *_) = searched(30, replace(ModelConfig(), neighbours=5000, rule_weight=0.0))
    assert first.config.neighbours == 5000
    assert best.score > 1.0


def test_the_values_to_write_are_those_searched_and_those_set_by_hand() -> None:
    shop = Shop()
    found = tune(shop.measure, ModelConfig(rule_targets=50), seconds=3, clock=shop.clock)
    assert found.values.keys() == SEARCHED | {"rule_targets"}
    assert found.values["rule_targets"] == 50


def test_a_start_that_finds_nothing_is_told() -> None:
    with pytest.raises(TuningError, match="find nothing of the validation period"):
        tune(lambda config: {"hr@20": 0.0, "mrr@20": 0.0}, ModelConfig(), seconds=1)


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(TuningError, match=r"needs Optuna: pip install 'freshslate\[tune\]'"):
        tune(Shop().measure, ModelConfig(), seconds=1)
