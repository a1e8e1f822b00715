import pytest

from state.models import Models
from state.retrieval.two_hop import two_hop_weights
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    T,
    close,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
)

SOURCE = "two_hop"


def learned(interactions: list, **changes: float) -> Models:
    models = Models(show_everything(**changes))
    models.learn([make_delta(interactions)])
    return models


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("changes", [{}, {"rule_weight": 0.0}])
def test_scores_are_those_of_the_formula(seed: int, changes: dict) -> None:
    interactions = make_interactions(seed, items=60)
    config = show_everything(two_hop_through=100, two_hop_targets=100, **changes)
    models, reference = Models(config), Reference(config)
    models.learn([make_delta(interactions)])
    reference.learn(interactions)
    for session in (("i0",), ("i3", "i1"), ("i7", "i2", "i5", "i1")):
        assert close(source_scores(models, SOURCE, session), scaled(reference.two_hop(session[::-1])))


def test_what_follows_what_followed_is_found_without_a_common_session() -> None:
    models = learned([("a", 1, T, CLICK), ("b", 1, T, CLICK), ("b", 2, T, CLICK), ("c", 2, T, CLICK)])
    assert "c" not in source_scores(models, "sequence_rules", ("a",))
    assert source_scores(models, SOURCE, ("a",))["c"] == 1.0


def test_only_the_best_targets_are_gone_through() -> None:
    sessions = [("a", "b"), ("a", "b"), ("a", "c"), ("b", "x"), ("c", "y")]
    pairs = [(item, n, T, CLICK) for n, session in enumerate(sessions, 1) for item in session]
    assert {"x", "y"} <= source_scores(learned(pairs), SOURCE, ("a",)).keys()
    found = source_scores(learned(pairs, two_hop_through=1), SOURCE, ("a",))
    assert "x" in found
    assert "y" not in found


def test_only_the_strongest_targets_are_read() -> None:
    sessions = [("a", "b"), ("b", "x"), ("b", "x"), ("b", "y")]
    pairs = [(item, n, T, CLICK) for n, session in enumerate(sessions, 1) for item in session]
    assert source_scores(learned(pairs, two_hop_targets=1), SOURCE, ("a",)) == {"x": 1.0}


def test_limits_are_those_of_the_configuration() -> None:
    assert two_hop_weights(show_everything(two_hop_through=7, two_hop_targets=3)) == (7, 3)
