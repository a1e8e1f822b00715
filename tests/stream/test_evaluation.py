from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace

from state.evaluation.contenders import Engine
from state.evaluation.results import ALL
from stream.evaluation import (
    EvaluationError,
    MarkedEvents,
    Plan,
    Split,
    ask,
    compare_contenders,
    contenders,
    parse_split,
    statement,
)
from tests.state.evaluation.logs import DAY, T, turn
from tests.stream.evaluations import BEGIN, Made, made

MARKED = MarkedEvents(made(), Split(days=3))


@pytest.mark.parametrize(
    ("text", "split"), [("7d", Split(days=7)), ("0.1", Split(share=0.1)), (".", Split(file=None))]
)
def test_a_split_is_days_a_share_or_a_file(text: str, split: Split) -> None:
    found = parse_split(text)
    assert (found.days, found.share) == (split.days, split.share)
    assert (str(found.file) == ".") == (text == ".")


@pytest.mark.parametrize("text", ["0d", "1.5", "0", "no such file", "d", "-1"])
def test_other_splits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is neither|a share must be"):
        parse_split(text)


def test_days_are_whole_and_counted_from_the_end() -> None:
    measured = {event.time >= BEGIN: flag for event, flag in MARKED}
    assert measured == {False: False, True: True}
    assert str(MARKED.split) == "the last 3 days"


def test_a_share_is_of_the_events() -> None:
    flags = np.array([flag for _, flag in MarkedEvents(made(), Split(share=0.25))])
    assert flags.mean() == pytest.approx(0.25, abs=0.01)
    assert not flags[: int(0.7 * flags.size)].any()


def test_a_file_is_the_test_period_whatever_its_times(tmp_path) -> None:
    train, test = made(1), Made([turn("v", "i1", T), turn("v", "i2", T + 1)])
    marked = MarkedEvents(train, Split(file=tmp_path), test)
    assert [flag for _, flag in marked][-3:] == [False, True, True]
    assert [query.session for query in ask(marked, Plan()).queries] == [("i1",)]


@pytest.mark.parametrize("split", [Split(days=30), Split(days=10)])
def test_a_test_period_of_everything_is_refused(split: Split) -> None:
    with pytest.raises(EvaluationError, match="none is left to train on: the file spans"):
        MarkedEvents(made(), split)


def test_a_file_without_interactions_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no view, click, cart or purchase"):
        MarkedEvents(Made([]), Split(days=1))


def test_a_test_period_without_questions_is_refused() -> None:
    marked = MarkedEvents(Made([turn("u", "i1", T), turn("v", "i2", T + DAY)]), Split(days=1))
    with pytest.raises(EvaluationError, match="the last 1 days hold no session with a second event"):
        ask(marked, Plan())


@pytest.mark.parametrize("protocol", ["frozen", "daily", "prequential"])
def test_every_protocol_asks_and_states_what_it_did(protocol) -> None:
    plan = Plan(protocol=protocol, items="all")
    questions = ask(MARKED, plan)
    stated = statement(MARKED, questions, plan)
    assert stated["protocol"] == protocol
    assert stated["predictions"] == len(questions.queries) > 100
    assert stated["train_interactions"] + stated["test_interactions"] == sum(1 for _ in MARKED)
    assert BEGIN <= stated["test_begin"] < stated["test_end"]


def test_known_items_give_the_same_queries_under_every_protocol() -> None:
    events = [*made(), turn("v", "i1", T + 9 * DAY), turn("v", "i99", T + 9 * DAY + 1)]
    events.append(turn("v", "i2", T + 9 * DAY + 2))
    marked = MarkedEvents(Made(sorted(events, key=lambda event: event.time)), Split(days=3))
    asked = [ask(marked, Plan(protocol=name)) for name in ("frozen", "daily", "prequential")]
    sessions = [sorted(query.session for query in each.queries) for each in asked]
    assert sessions[0] == sessions[1] == sessions[2]
    assert len(ask(marked, Plan(items="all")).queries) == len(sessions[0]) + 1


def test_categories_take_the_place_of_items() -> None:
    questions = ask(MARKED, Plan(target="category"))
    assert sorted(questions.log.names) == ["c0", "c1", "c2"]


def test_without_categories_there_is_nothing_to_ask_for() -> None:
    marked = MarkedEvents(Made(list(made()), categories=False), Split(days=3))
    with pytest.raises(EvaluationError, match="the file names no categories"):
        ask(marked, Plan(target="category"))


def test_configurations_are_compared_in_the_order_given() -> None:
    told = []
    makers = contenders({"engine": Engine}, ["popularity", "repeat"], Plan())
    questions = ask(MARKED, Plan())
    results = compare_contenders(questions, makers, seed=1, on_progress=lambda *each: told.append(each))
    assert list(results.configurations) == ["engine", "popularity", "repeat"]
    assert list(results.differences) == ["popularity", "repeat"]
    total = len(questions.queries)
    assert told == [(name, total, total) for name in results.configurations]
    assert results.differences["popularity"]["hr@5"].value > 0.1


def test_fresher_models_answer_better() -> None:
    # The second half of the shop sells what the first half did not have.
    events = [replace(event, items=tuple(
        replace(item, item_id=f"i{int(item.item_id[1:]) + 30 * (event.time >= BEGIN)}") for item in
    event.items )) for event in made(sessions=300)]  # fmt: skip
    marked = MarkedEvents(Made(events), Split(days=3))
    hits = []
    for plan in (Plan(), Plan(protocol="daily"), Plan(protocol="prequential")):
        questions = ask(marked, replace(plan, items="all"))
        results = compare_contenders(questions, {"engine": partial(Engine)}, seed=1)
        hits.append(results.configurations["engine"].rows[ALL].values["hr@20"])
    assert hits[0] < hits[1] < hits[2]


def test_unknown_baselines_are_named() -> None:
    with pytest.raises(EvaluationError, match="there is no baseline magic; known are popularity"):
        contenders({}, ["magic"], Plan())


def test_baselines_that_are_rebuilt_cannot_follow_every_event() -> None:
    with pytest.raises(EvaluationError, match="vstan would be built anew after every event"):
        contenders({}, ["vstan", "sr"], Plan(protocol="prequential"))
    assert list(contenders({}, ["vstan"], Plan(protocol="daily"))) == ["vstan"]
