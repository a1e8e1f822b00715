"""The neighbours' shares of a score sum to what the kernels contribute."""

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval.blend import SOURCES, Query, retrieve
from state.retrieval.config import ModelConfig
from state.retrieval.explain import Explanation, explain
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    T,
    make_catalogue,
    make_delta,
    make_interactions,
    show_everything,
    stock,
)

CONFIGS = (
    ModelConfig(),
    show_everything(),
    show_everything(neighbours=5, query_items=2, rule_steps=2, popularity_pool=4, history_items=2),
    show_everything(max_sessions=16, session_items=4, postings=8, rule_targets=5, idf_exponent=0.0),
    show_everything(two_hop_through=3, two_hop_targets=2, hour_targets=9, content_listed=6, content_items=4),
    ModelConfig(repeat_current_weight=0.4, repeat_earlier_weight=0.7, similarity_exponent=0.9),
)


def learned(interactions: list, config: ModelConfig | None = None) -> Models:
    models = Models(config)
    models.learn([make_delta(interactions)])
    return models


def summed(explanation: Explanation) -> list[float]:
    """Each source's part of the score, in the order of `SOURCES`."""
    return [
        sum(session.share for session in explanation.sessions),
        sum(rule.share for rule in explanation.rules),
        explanation.popularity.share if explanation.popularity else 0.0,
        explanation.history.share if explanation.history else 0.0,
        sum(hop.share for hop in explanation.two_hops),
        explanation.category.share if explanation.category else 0.0,
        explanation.hour.share if explanation.hour else 0.0,
        sum(like.share for like in explanation.alike),
    ]


def assert_sums_to_the_kernels(models: Models, query: Query) -> int:
    """Compare every candidate; returns how many there are."""
    found = retrieve(models, query)
    names = [models.item_ids[item] for item in found.items]
    explanations = explain(models, query, names)
    assert [each.item_id for each in explanations] == names
    parts = np.array([summed(each) for each in explanations]).reshape(len(names), len(SOURCES))
    assert np.allclose(parts, found.contributions, rtol=2e-4, atol=2e-6)
    assert np.allclose(parts.sum(axis=1), found.scores, rtol=2e-4, atol=2e-6)
    for each in explanations:
        assert each.session_share == pytest.approx(summed(each)[0])
        assert each.session_count == len(each.sessions)
    return len(names)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    config=st.sampled_from(CONFIGS),
    session=st.lists(st.integers(0, 27), max_size=14),
    history=st.lists(st.integers(0, 27), max_size=6),
    own=st.integers(0, 60),
    now=st.integers(0, DAY),
    described=st.integers(0, 25),
)
def test_the_parts_sum_to_each_sources_contribution(
    *,
    seed: int,
    config: ModelConfig,
    session: list[int],
    history: list[int],
    own: int,
    now: int,
    described: int,
) -> None:
    models = stock(learned(make_interactions(seed), config), make_catalogue(described))
    query = Query(
        tuple(f"i{item}" for item in session),
        tuple(f"i{item}" for item in history),
        now=now,
        size=100,
        session_key=own,
    )
    assert_sums_to_the_kernels(models, query)


def test_they_do_so_after_years_in_which_the_origin_of_time_moved() -> None:
    models = learned(make_interactions(3, days=2000), show_everything())
    assert models._origin != T
    assert assert_sums_to_the_kernels(models, Query(("i0", "i3", "i1"), ("i2",), size=100)) > 5


def test_they_do_so_with_a_catalogue_and_untried_items() -> None:
    models = learned(make_interactions(4))
    for name in ("i1", "i3", "new"):
        models.upsert_item(name, CatalogueItem(item_id=name))
    assert assert_sums_to_the_kernels(models, Query(("i0",), size=100)) == 3


def test_a_neighbour_is_told_with_its_time_and_what_both_have_in_common() -> None:
    sessions = [("a", 7, T, CLICK), ("b", 7, T + 5, CLICK), ("x", 7, T + 9, CLICK), ("c", 8, T + 20, CLICK)]
    (found,) = explain(learned(sessions), Query(("b", "z", "a")), ["x"])
    (neighbour,) = found.sessions
    assert (neighbour.number, neighbour.time, neighbour.common) == (0, T + 9, ("a", "b"))
    # One place after the last match, beside `b`, the item of the largest score.
    assert neighbour.share == pytest.approx(exp(-1 / ModelConfig().after_decay_steps))


def test_the_current_session_is_not_its_own_neighbour() -> None:
    sessions = [(item, key, T, CLICK) for key in (7, 8) for item in "abx"]
    models = learned(sessions)
    (found,) = explain(models, Query(("a",), session_key=8), ["x"])
    assert [session.number for session in found.sessions] == [0]
    (found,) = explain(models, Query(("a",)), ["x"])
    assert [session.number for session in found.sessions] == [0, 1]


def test_a_session_that_was_forgotten_does_not_speak_any_more() -> None:
    sessions = [(item, key, T + key * DAY, CLICK) for key in range(1, 7) for item in "ab"]
    (found,) = explain(learned(sessions, ModelConfig(max_sessions=4)), Query(("a",)), ["b"])
    assert [session.number for session in found.sessions] == [5, 4, 3, 2]


def test_a_rule_is_told_with_the_item_it_comes_from() -> None:
    sessions = [("a", 1, T, CLICK), ("x", 1, T, CLICK), ("b", 2, T, CLICK), ("y", 2, T, CLICK)]
    sessions += [("x", 2, T, CLICK)]
    (found,) = explain(learned(sessions), Query(("b", "a")), ["x"])
    assert [(rule.item_id, rule.steps_back) for rule in found.rules] == [("a", 1), ("b", 2)]
    assert found.rules[0].share > found.rules[1].share > 0


def test_popularity_is_told_as_rank_and_history_as_steps_back() -> None:
    counts = {"a": 4, "b": 2, "c": 1}
    models = learned([(item, 0, T, CLICK) for item, count in counts.items() for _ in range(count)])
    (found,) = explain(models, Query((), history=("b", "c")), ["b"])
    assert found.popularity is not None
    assert found.popularity.rank == 2
    assert found.popularity.share == pytest.approx(0.003 * 0.5)
    assert found.history is not None
    assert found.history.steps_back == 2


def test_only_the_largest_shares_are_named_but_all_are_counted() -> None:
    models = learned(make_interactions(1), show_everything())
    query = Query(("i0", "i1", "i2"))
    (whole,), (cut,) = explain(models, query, ["i3"]), explain(models, query, ["i3"], limit=2)
    assert len(whole.sessions) > 2
    assert cut.sessions == whole.sessions[:2]
    assert [each.share for each in whole.sessions] == sorted((s.share for s in whole.sessions), reverse=True)
    assert (cut.session_count, cut.session_share) == (len(whole.sessions), whole.session_share)


def test_items_that_nobody_speaks_for_have_no_neighbours() -> None:
    assert explain(Models(), Query(("a",)), ["a"]) == (Explanation(item_id="a"),)
    models = learned([("a", 0, T, CLICK)])
    assert explain(models, Query(("a",)), ["?"]) == (Explanation(item_id="?"),)


def test_two_hops_are_told_with_the_item_gone_through() -> None:
    sessions = [("a", 1, T, CLICK), ("b", 1, T, CLICK), ("b", 2, T, CLICK), ("c", 2, T, CLICK)]
    (found,) = explain(learned(sessions), Query(("a",)), ["c"])
    assert [hop.item_id for hop in found.two_hops] == ["b"]
    assert found.two_hops[0].share == pytest.approx(ModelConfig().two_hop_weight)


def test_what_is_alike_is_told_with_the_item_of_the_session() -> None:
    models = stock(Models(show_everything()), make_catalogue(6))
    (found,) = explain(models, Query(("i1", "i0")), ["i4"])
    assert [(like.item_id, like.steps_back) for like in found.alike] == [("i0", 1), ("i1", 2)]
    assert found.alike[0].share > found.alike[1].share > 0


def test_a_place_in_the_category_and_in_the_hour_is_told_by_rank() -> None:
    models = stock(Models(show_everything()), [CatalogueItem(item_id=n, category="c") for n in "ab"])
    models.learn([make_delta([(item, 0, T, CLICK) for item in "aab"])])
    (found,) = explain(models, Query(("a",), now=T), ["b"])
    assert found.category is not None
    assert found.hour is not None
    assert (found.category.rank, found.hour.rank) == (2, 2)
    assert found.category.share == found.hour.share == pytest.approx(0.5)


def test_a_source_that_is_off_says_nothing() -> None:
    models = learned([("a", 0, T, CLICK)], ModelConfig(hour_weight=0.0))
    (found,) = explain(models, Query((), now=T), ["a"])
    assert found.hour is None
    assert found.popularity is not None
