from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from state.evaluation.contenders import Engine
from state.retrieval.config import ModelConfig
from stream.config import Settings
from stream.evaluation import EvaluationError, MarkedEvents, Plan, Split, ask
from stream.model_file import write_model_file
from stream.validation import Search, measured, sampled, tune_on, validation
from stream.worker import model_config
from tests.state.evaluation.logs import DAY
from tests.stream.evaluations import BEGIN, made

pytest.importorskip("optuna", reason="the extra tune is not installed: tuning is NOT checked here")

MARKED = MarkedEvents(made(), Split(days=3))
BAD = ModelConfig(neighbours=1, rule_weight=0.0, idf_weight=0.0, similarity_exponent=0.5)
"""A start that is easily bettered."""


def test_validation_is_the_last_days_of_training_and_the_test_period_is_not_read() -> None:
    rows = [(event.time, flag) for event, flag in validation(MARKED)]
    assert max(time for time, _ in rows) < BEGIN
    begin = min(time for time, flag in rows if flag)
    assert BEGIN - 3 * DAY <= begin < BEGIN - 2 * DAY
    assert not any(flag for time, flag in rows if time < begin)


def test_validation_is_the_same_share_of_the_training_events() -> None:
    rows = [flag for _, flag in validation(MarkedEvents(made(), Split(share=0.2)))]
    assert np.mean(rows) == pytest.approx(0.2, abs=0.01)


def test_beside_a_test_file_the_last_tenth_validates(tmp_path: Path) -> None:
    rows = [flag for _, flag in validation(MarkedEvents(made(1), Split(file=tmp_path), made(2)))]
    assert np.mean(rows) == pytest.approx(0.1, abs=0.01)
    assert len(rows) == len(list(made(1)))


def test_a_training_period_shorter_than_the_test_period_is_refused() -> None:
    with pytest.raises(EvaluationError, match="none is left to train on"):
        validation(MarkedEvents(made(), Split(days=6)))


def test_a_sample_is_whole_users_in_their_order() -> None:
    questions = ask(MARKED, Plan())
    few = sampled(questions, len(questions.queries) // 2, seed=1)
    assert 0.3 < len(few.queries) / len(questions.queries) < 0.7
    assert np.isin(questions.user, few.user).sum() == len(few.queries)
    assert (np.diff(few.learned) >= 0).all()
    assert sampled(questions, len(questions.queries), seed=1) is questions
    assert measured(few, Engine)(ModelConfig())["hr@20"] > 0.3


@pytest.mark.parametrize("protocol", ["frozen", "prequential"])
def test_tuning_finds_better_and_a_worker_loads_what_it_wrote(protocol: str, tmp_path: Path) -> None:
    plan = replace(Plan(), protocol=protocol)
    found = tune_on(MARKED, plan, Engine, BAD, Search(seconds=3.0))
    assert found.best.score > 1.0
    questions = ask(validation(MARKED), plan)
    assert measured(questions, Engine)(BAD) == found.start.metrics
    assert measured(questions, Engine)(found.best.config) == found.best.metrics
    path = tmp_path / "model.toml"
    write_model_file(path, found.values, {"trials": found.trials})
    loaded = model_config(Settings(model_file=path))
    assert replace(loaded, max_sessions=found.best.config.max_sessions) == found.best.config


def test_what_does_not_hold_over_all_queries_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.validation.MOST_QUERIES", 40)
    found = tune_on(MARKED, Plan(), Engine, ModelConfig(), Search(seconds=1.0))
    whole = measured(ask(validation(MARKED), Plan()), Engine)
    assert found.start.metrics == whole(ModelConfig()) or found.best is found.start
    assert found.best.score >= 1.0
