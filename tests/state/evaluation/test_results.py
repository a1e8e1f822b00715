import numpy as np
import pytest

from state.evaluation.baselines.registry import BASELINES
from state.evaluation.contenders import Engine
from state.evaluation.metrics import CUTS, METRICS, judge, scores, targets_of
from state.evaluation.protocols import frozen, prequential, run, without_new_items
from state.evaluation.results import ALL, ROWS, as_json, compare_lists
from state.recommend import RecommendRules
from tests.state.evaluation.logs import DAY, RULES, T, log_of, shop, split, turn

LOG = log_of(shop(4, sessions=400), T + 7 * DAY)
QUESTIONS = frozen(without_new_items(LOG))
LISTS = {"engine": run(QUESTIONS, Engine()), "popularity": run(QUESTIONS, BASELINES["popularity"]())}


def test_values_are_the_means_over_all_predictions() -> None:
    found = compare_lists(QUESTIONS, LISTS, seed=1).configurations["engine"].rows[ALL]
    expected = scores(judge(targets_of(QUESTIONS), LISTS["engine"]))
    assert found.predictions == len(QUESTIONS.queries)
    assert set(found.values) == {f"{name}@{cut}" for name in METRICS for cut in CUTS}
    for name, value in found.values.items():
        assert value == pytest.approx(expected[name].mean())
        low, high = found.ci95[name]
        assert low <= value <= high


def test_rows_divide_the_targets() -> None:
    rows = compare_lists(QUESTIONS, LISTS, seed=1).configurations["engine"].rows
    assert set(rows) <= set(ROWS)
    seen, new = rows["seen before"].predictions, rows["not seen before"].predictions
    assert 0 < seen < new
    assert seen + new == rows[ALL].predictions
    both = rows["seen before"], rows["not seen before"]
    hits = sum(row.values["hr@20"] * row.predictions for row in both)
    assert hits == pytest.approx(rows[ALL].values["hr@20"] * rows[ALL].predictions)


def test_items_that_nobody_knew_have_a_row_of_their_own() -> None:
    events = [*shop(1, sessions=60), *(turn(f"v{n}", f"i1 new{n}", T + 11 * DAY + n) for n in range(40))]
    events += [turn(f"v{n}", f"new{(n + 1) % 40}", T + 12 * DAY + n) for n in range(40)]
    questions = prequential(split(events, T + 11 * DAY), RULES, RecommendRules())
    results = compare_lists(questions, {"engine": run(questions, Engine())}, seed=1)
    rows = results.configurations["engine"].rows
    assert rows[ALL].predictions == 40
    assert rows["cold"].predictions == 40
    assert "never learned" not in rows


def test_the_difference_is_paired_and_the_first_minus_the_others() -> None:
    results = compare_lists(QUESTIONS, LISTS, seed=1)
    assert list(results.differences) == ["popularity"]
    found = results.differences["popularity"]["hr@5"]
    mine, theirs = (results.configurations[name].rows[ALL] for name in ("engine", "popularity"))
    assert found.value == pytest.approx(mine.values["hr@5"] - theirs.values["hr@5"])
    assert found.ci95 is not None
    assert 0 < found.ci95[0] < found.value < found.ci95[1]


def test_a_configuration_does_not_differ_from_itself() -> None:
    results = compare_lists(QUESTIONS, {"one": LISTS["engine"], "two": LISTS["engine"]}, seed=1)
    assert all(found.value == 0 and found.ci95 == (0, 0) for found in results.differences["two"].values())


def test_the_same_seed_gives_the_same_and_another_hardly_differs() -> None:
    first, second, other = (compare_lists(QUESTIONS, LISTS, seed=seed) for seed in (1, 1, 2))
    assert first == second
    one, two = (each.configurations["engine"].rows[ALL].ci95["hr@20"] for each in (first, other))
    assert one != two
    assert one == pytest.approx(two, abs=0.01)


def test_few_users_get_no_interval() -> None:
    few = frozen(without_new_items(log_of(shop(4, sessions=40), T + 7 * DAY)))
    lists = {"engine": run(few, Engine()), "repeat": run(few, BASELINES["repeat"]())}
    results = compare_lists(few, lists, seed=1)
    assert results.configurations["engine"].rows[ALL].ci95 == {}
    assert results.differences["repeat"]["hr@20"].ci95 is None


def test_json_holds_each_configuration_by_name() -> None:
    found = as_json(compare_lists(QUESTIONS, LISTS, seed=1))
    engine = found["configurations"]["engine"]
    assert engine["predictions"] == len(QUESTIONS.queries)
    assert 0 < engine["mrr@20"] <= engine["hr@20"] <= 1
    assert {"coverage@20", "popularity@10", "ndcg@5", "recall@10", "map@20"} <= set(engine)
    assert engine["ci95"]["hr@20"][0] < engine["hr@20"] < engine["ci95"]["hr@20"][1]
    assert engine["rows"]["seen before"]["predictions"] > 0
    assert found["differences"]["popularity"]["mrr@20"]["ci95"][0] > 0


def test_nothing_asked_is_nothing_found() -> None:
    none = frozen(log_of(shop(1), T * 2))
    assert as_json(compare_lists(none, {"engine": np.zeros((0, 20), np.int32)}, seed=1)) == {
        "configurations": {},
        "differences": {},
    }
