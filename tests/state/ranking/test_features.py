import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.models import Models
from state.ranking.features import FEATURE_SET, FEATURES, N_FEATURES, featurise
from state.retrieval.blend import SOURCES, Query, retrieve_all
from tests.state.retrieval.shops import make_delta, make_interactions

IDS = st.sampled_from([f"i{n}" for n in range(25)] + ["new", "newer"])
QUERIES = st.lists(
    st.builds(
        lambda session, history: Query(tuple(session), tuple(history)),
        st.lists(IDS, max_size=6),
        st.lists(IDS, max_size=6),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def shop():
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    return models


def rule_shares(models, item):
    """Share of an item's rules by target."""
    dense = models.items.ids.get(item)
    if dense is None or not models.rules.total[dense]:
        return {}
    start, kept = int(models.rules.offset[dense]), int(models.rules.kept[dense])
    entries = slice(start, start + kept)
    return dict(
        zip(
            models.rules.target[entries].tolist(),
            (models.rules.weight[entries] / models.rules.total[dense]).tolist(),
            strict=True,
        )
    )


def expected(models, query, candidates, place):
    """The features of one candidate by name, in plain Python."""
    item = int(candidates.items[place])
    name = models.item_ids[item]
    top = float(candidates.scores[0]) or 1.0
    held = int(models.sessions.sessions_of[item])
    pool = models.popularity.pool[0, : models.popularity.counters[0]]
    share = float(models.popularity.score[item] / models.popularity.score[pool].max())
    session, history = query.session, query.history
    last = session[-1] if session else None

    def back(items):
        return list(reversed(items)).index(name) + 1 if name in items else 0

    dense = models.items.ids.get(last) if last else None
    # Items that the models do not know are one and the same to them.
    known = [models.items.ids.get(each, -1) for each in session]
    values = {
        "rank": place + 1,
        "blend": float(candidates.scores[place]) / top,
        "rule_last": rule_shares(models, last).get(item, 0.0),
        "rule_before": rule_shares(models, session[-2]).get(item, 0.0) if len(session) > 1 else 0.0,
        "seen": session.count(name),
        "seen_back": back(session),
        "history_back": back(history),
        "sessions": held,
        "popularity": share,
        "trend": share / max(1, held),
        "session_items": len(set(known)),
        "session_length": len(session),
        "last_sessions": 0 if dense is None else int(models.sessions.sessions_of[dense]),
        "last_seen": known.count(known[-1]) if known else 0,
    }
    for source, part in zip(SOURCES, candidates.contributions[place].tolist(), strict=True):
        values[f"source_{source}"] = part / top
    return [values[name] for name in FEATURES]


@settings(max_examples=100, deadline=None)
@given(QUERIES)
def test_features_are_those_of_a_plain_reading_of_the_models(shop, queries):
    ranked = retrieve_all(shop, queries, 20)
    featured = featurise(shop, queries, ranked)
    for row, query in enumerate(queries):
        candidates = ranked.of(row)
        plain = [expected(shop, query, candidates, place) for place in range(len(candidates.items))]
        assert np.allclose(featured.of(row), np.array(plain).reshape(-1, N_FEATURES), rtol=1e-5, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(QUERIES)
def test_features_of_queries_together_are_those_of_each_alone(shop, queries):
    together = featurise(shop, queries, retrieve_all(shop, queries, 20))
    for row, query in enumerate(queries):
        alone = featurise(shop, [query], retrieve_all(shop, [query], 20))
        assert together.of(row).tolist() == alone.of(0).tolist()


def test_features_are_finite_and_never_negative(shop):
    queries = [Query(("i1", "i1", "i2"), ("i3",)), Query(())]
    featured = featurise(shop, queries, retrieve_all(shop, queries, 25))
    values = np.concatenate([featured.of(row) for row in range(2)])
    assert np.isfinite(values).all()
    assert (values >= 0).all()


def test_a_shop_that_knows_nothing_has_no_features():
    models = Models()
    featured = featurise(models, [Query(("i1",))], retrieve_all(models, [Query(("i1",))], 20))
    assert featured.of(0).shape == (0, N_FEATURES)


def test_the_feature_set_is_named_after_its_features():
    assert len(set(FEATURES)) == N_FEATURES
    assert len(FEATURE_SET) == 8
    assert int(FEATURE_SET, 16) >= 0
