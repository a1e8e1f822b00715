import numpy as np
import pytest

from state.models import Models
from state.retrieval.sessions import new_index, session_scratch, session_weights
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

SOURCE = "session_knn"


def learned(interactions, **changes):
    config = show_everything(**changes)
    models, reference = Models(config), Reference(config)
    models.learn([make_delta(interactions)])
    reference.learn(interactions)
    return models, reference


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "changes",
    [
        {"neighbours": 1000},
        {"neighbours": 1000, "postings": 5, "session_items": 4},
        {"neighbours": 1000, "max_sessions": 16, "query_items": 2},
        {"neighbours": 5, "length_exponent": 0.7, "idf_exponent": 2.0, "similarity_exponent": 1.0},
    ],
)
def test_scores_are_those_of_the_formula(seed: int, changes: dict) -> None:
    interactions = make_interactions(seed)
    models, reference = learned(interactions, **changes)
    for session in (("i0",), ("i3", "i1"), ("i7", "i2", "i5", "i1", "i0", "i9", "i4")):
        expected = scaled(reference.neighbours(session[::-1]))
        assert close(source_scores(models, SOURCE, session), expected)


def test_a_session_is_not_its_own_neighbour() -> None:
    models, reference = learned(make_interactions(3))
    session = tuple(reference.rows[7])
    expected = scaled(reference.neighbours(session[::-1], own=7))
    assert close(source_scores(models, SOURCE, session, session_key=7), expected)
    assert not close(source_scores(models, SOURCE, session), expected)


def test_df_counts_the_live_sessions_that_hold_an_item() -> None:
    models, reference = learned(make_interactions(4, events=600), max_sessions=16, session_items=3)
    for item, dense in models.items.ids.items():
        holders = sum(item in row for row in reference.rows.values())
        assert models.sessions.sessions_of[dense] == holders
        assert models.sessions.log_sessions_of[dense] == pytest.approx(np.log(max(1, holders)))


def test_an_item_seen_again_moves_to_the_end_of_its_session() -> None:
    models, _ = learned([("a", 1, T, CLICK), ("b", 1, T, CLICK), ("a", 1, T, CLICK)])
    assert [models.item_ids[i] for i in models.sessions.rows[0, :2]] == ["b", "a"]
    assert models.sessions.posted.sum() == 2


def test_a_session_longer_than_the_cap_keeps_its_newest_items() -> None:
    models, _ = learned([(f"i{i}", 1, T + i, CLICK) for i in range(100)])
    assert [models.item_ids[i] for i in models.sessions.rows[0]] == [f"i{i}" for i in range(68, 100)]


def test_an_older_event_does_not_turn_a_session_back() -> None:
    models, _ = learned([("a", 1, T, CLICK), ("b", 1, T - 30 * DAY, CLICK)])
    assert models.sessions.time[0] == T


def test_no_more_than_the_newest_postings_are_kept() -> None:
    models, _ = learned([("a", s, T + s, CLICK) for s in range(1, 1001)], postings=20)
    assert models.sessions.posted[0] == 20
    start = models.sessions.offset[0]
    assert sorted(models.sessions.postings[start : start + 20].tolist()) == list(range(980, 1000))


def test_a_forgotten_session_is_no_neighbour() -> None:
    interactions = [("a", 1, T, CLICK), ("gone", 1, T, CLICK)]
    interactions += [(f"x{s}", s, T, CLICK) for s in range(2, 20)]
    models, _ = learned(interactions, max_sessions=8)
    assert source_scores(models, SOURCE, ("a",)) == {}
    assert models.n_sessions == 8


def test_sequence_numbers_may_pass_32_bits() -> None:
    interactions = make_interactions(5, sessions=12)
    models, reference = Models(show_everything(max_sessions=16)), Reference(show_everything(max_sessions=16))
    high = 2**32 - 6
    models._next_sequence = models.sessions.counters[0] = high
    models.learn([make_delta(interactions)])
    reference.learn(interactions)
    assert models._next_sequence > 2**32
    found, expected = source_scores(models, SOURCE, ("i0", "i1")), reference.neighbours(["i1", "i0"])
    assert found.keys() == expected.keys()


def test_an_empty_index_has_no_rows() -> None:
    config = show_everything()
    assert new_index(config).rows.shape == (0, config.session_items)
    assert session_scratch(config, 7).similarity.shape == (7, 2)


def test_tables_start_at_one_and_fall() -> None:
    weights = session_weights(show_everything())
    for table in (weights.match, weights.vote, weights.length[1:]):
        assert table[0] == 1.0
        assert (np.diff(table) < 0).all()
    assert weights.place[weights.place.size // 2] == 1.0
