"""The parts of `benchmarks.query` on a shop of a few sessions."""

from pathlib import Path

import pytest

from benchmarks.query import (
    Cost,
    choices,
    interactions,
    lessons,
    lines,
    measure,
    queries,
    stock,
    taught,
    weighed,
)
from state.retrieval.config import ModelConfig

ROWS = [(1 + n // 4, f"i{n * n % 13}") for n in range(340)]


def test_without_the_data_sessions_are_made_up_and_said_to_be(tmp_path: Path) -> None:
    source, rows = interactions(tmp_path)
    assert source.startswith("made-up sessions, since there is no ")
    assert len(rows) > 500_000
    assert rows[0][0] == 1


def test_lessons_hold_every_interaction_in_order() -> None:
    found = [
        (session, delta.items[item])
        for delta in lessons(ROWS * 2)
        for session, item in zip(delta.session, delta.item, strict=True)
    ]
    assert found == ROWS * 2


def test_sessions_of_the_last_week_are_asked_for_after_each_event() -> None:
    found = queries(ROWS, 6)
    assert [len(query.session) for query in found] == [1, 2, 3, 4, 1, 2]
    assert found[0].session_key == ROWS[320][0]


def test_the_choices_turn_off_one_source_after_the_other() -> None:
    config = ModelConfig(hour_weight=0.0, content_weight=0.1)
    found = dict(choices(config))
    assert "without hour" not in found
    assert found["without content"].content_weight == 0.0
    assert found["session_knn alone"].source_weights() == (1.0,) + 7 * (0.0,)


@pytest.fixture(scope="module")
def cost() -> Cost:
    models, update = taught(ModelConfig(), ROWS)
    assert update.events == len(ROWS)
    assert 0 < update.rate <= update.kernel_rate
    stock(models)
    without = weighed(models, ModelConfig(two_hop_weight=0.0))
    assert without.n_items == models.n_items == len(models.catalogue) > 5
    return measure("all", without, queries(ROWS, 10))


def test_a_slate_costs_time_and_has_candidates(cost: Cost) -> None:
    assert 0 < cost.p50 <= cost.p99
    assert cost.candidates > 3
    assert lines([cost])[0][0] == "all"
