import numpy as np
import pytest

from state.models import Models
from state.retrieval.rules import new_rules, rule_weights
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    T,
    close,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
)

SOURCE = "sequence_rules"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("changes", [{}, {"rule_steps": 2, "rule_backward_weight": 0.0}])
def test_scores_are_those_of_the_formula(seed: int, changes: dict) -> None:
    interactions = make_interactions(seed, items=60)
    config = show_everything(**changes)
    models, reference = Models(config), Reference(config)
    models.learn([make_delta(interactions)])
    reference.learn(interactions)
    assert models.n_rules == sum(len(row) for row in reference.rules.values())
    for session in (("i0",), ("i3", "i1"), ("i7", "i2", "i5", "i1")):
        expected = scaled(reference.sequence(session[::-1]))
        assert close(source_scores(models, SOURCE, session), expected)


def test_what_follows_counts_more_than_what_came_before() -> None:
    models = Models(show_everything())
    models.learn([make_delta([("a", 1, T, CLICK), ("b", 1, T, CLICK), ("c", 1, T, CLICK)])])
    scores = source_scores(models, SOURCE, ("b",))
    assert scores == {"c": 1.0, "a": pytest.approx(0.3)}


def test_newer_evidence_counts_more() -> None:
    pairs = [("a", 1, T, CLICK), ("old", 1, T, CLICK)]
    pairs += [("a", 2, T + 60 * DAY, CLICK), ("new", 2, T + 60 * DAY, CLICK)]
    models = Models(show_everything(rule_decay_days=60.0))
    models.learn([make_delta(pairs)])
    assert source_scores(models, SOURCE, ("a",)) == {"new": 1.0, "old": pytest.approx(np.exp(-1))}


def test_a_full_row_gives_up_its_weakest_target() -> None:
    interactions = []
    for s in range(1, 6):
        interactions += [("a", s, T + s * DAY, CLICK), (f"b{s}", s, T + s * DAY, CLICK)]
    models = Models(show_everything(rule_targets=3))
    models.learn([make_delta(interactions)])
    assert set(source_scores(models, SOURCE, ("a",))) == {"b3", "b4", "b5"}
    a = models.items.ids["a"]
    start = models.rules.offset[a]
    kept = models.rules.weight[start : start + models.rules.kept[a]]
    assert models.rules.total[a] == pytest.approx(kept.sum())


def test_an_item_has_no_rule_to_itself() -> None:
    models = Models(show_everything())
    models.learn([make_delta([("a", 1, T, CLICK)] * 3)])
    assert models.n_rules == 0


def test_new_rules_have_no_room() -> None:
    assert new_rules().target.size == 0
    assert rule_weights(show_everything()).steps.tolist() == pytest.approx([1 / g for g in range(1, 7)])
