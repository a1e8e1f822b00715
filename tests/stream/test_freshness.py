import pytest

from state.evaluation.contenders import Engine
from stream.evaluation import MarkedEvents, Plan, Split
from stream.freshness import AGES, freshness, lines_json
from tests.stream.evaluations import made


@pytest.fixture(scope="module")
def lines():
    return list(freshness(MarkedEvents(made(), Split(days=2)), Plan(), Engine))


def test_every_age_answers_the_same_queries_about_known_items(lines) -> None:
    assert [line.name for line in lines] == [age.name for age in AGES]
    assert len({line.rows[0].predictions for line in lines}) == 1
    assert all(line.rows[1].predictions >= line.rows[0].predictions for line in lines)


def test_models_that_learned_nothing_find_nothing(lines) -> None:
    found = {line.name: line.rows[0].values["hr@20"] for line in lines}
    assert found["8 weeks missing"] == 0
    assert found["fresh: every event"] > 0.5
    assert found["1 week missing"] < found["frozen at the start"]


def test_json_names_the_age_and_both_kinds_of_items(lines) -> None:
    written = lines_json(lines)
    assert written[0]["models"] == AGES[0].name
    assert written[0]["known_items"]["predictions"] == lines[0].rows[0].predictions
    assert "hr@20" in written[-1]["new_items_too"]


def test_progress_names_the_age() -> None:
    told = set()
    events = MarkedEvents(made(), Split(days=2))
    next(freshness(events, Plan(), Engine, on_progress=lambda name, *_: told.add(name)))
    assert told == {AGES[0].name}
