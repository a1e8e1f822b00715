import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.catalogue import CatalogueItem
from state.models import Models
from state.retrieval.blend import SOURCES, Query, retrieve
from state.retrieval.config import ModelConfig
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    T,
    close,
    make_catalogue,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
    stock,
)

QUERIES = (Query(("i0",)), Query(("i1", "i4", "i2"), ("i9",)), Query(("i3",), exclude=("i0",), size=7))


def answers(models: Models) -> list[tuple[list[str], list[float]]]:
    found = [retrieve(models, query) for query in QUERIES]
    return [([models.item_ids[i] for i in one.items], one.scores.tolist()) for one in found]


def learned(interactions: list, config: ModelConfig | None = None, batch: int = 10_000) -> Models:
    models = Models(config)
    for start in range(0, len(interactions), batch):
        models.learn([make_delta(interactions[start : start + batch])])
    return models


def test_empty_models_have_no_candidates() -> None:
    models = Models()
    models.learn([])
    models.learn([make_delta([])])
    assert (models.n_items, models.n_sessions, models.n_rules) == (0, 0, 0)
    assert retrieve(models, Query(("a",), ("b",), ("c",))).items.size == 0


def test_counts_are_those_of_what_was_learned() -> None:
    models = learned([("a", 1, T, CLICK), ("b", 1, T, CLICK), ("a", 2, T, CLICK), ("c", 0, T, CLICK)])
    assert (models.n_items, models.n_sessions, models.n_rules) == (3, 2, 2)
    assert models.session_sequence(2) == 1
    assert models.session_sequence(9) == -1


def test_an_interaction_of_no_session_makes_an_item_popular_only() -> None:
    models = learned([("a", 0, T, CLICK), ("b", 0, T, CLICK)], show_everything())
    assert source_scores(models, "popularity") == {"a": 1.0, "b": 1.0}
    assert (models.n_sessions, models.n_rules) == (0, 0)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_the_size_of_batches_does_not_matter(batch: int) -> None:
    interactions = make_interactions(2)
    assert answers(learned(interactions, batch=batch)) == answers(learned(interactions))


def test_several_deltas_at_once_are_folded_in_order() -> None:
    interactions = make_interactions(2)
    models = Models()
    models.learn(make_delta(interactions[i : i + 50]) for i in range(0, 300, 50))
    assert answers(models) == answers(learned(interactions))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=300, max_size=300))
def test_the_interleaving_of_partitions_does_not_matter(first: list[bool]) -> None:
    # Sessions of one user live in one partition, so their order inside is the same everywhere.
    partitions = [[], []]
    for item, session, time, code in make_interactions(6):
        partitions[session % 2].append((item, session, time, code))
    merged, left = [], [list(part) for part in partitions]
    for turn in first:
        source = left[turn] or left[not turn]
        if source:
            merged.append(source.pop(0))
    config = show_everything(neighbours=1000)
    one, other = learned(partitions[0] + partitions[1], config), learned(merged, config)
    for source in SOURCES:
        found = source_scores(other, source, ("i0", "i3"), ("i2",))
        assert close(found, source_scores(one, source, ("i0", "i3"), ("i2",)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=60, max_size=60))
def test_the_catalogue_may_come_before_or_after_the_clicks(clicks_first: list[bool]) -> None:
    interactions, items = make_interactions(6), make_catalogue()
    expected = stock(learned(interactions, show_everything()), items)
    models, left = Models(show_everything()), list(items)
    for n, is_click in enumerate(clicks_first):
        if left and not is_click:
            stock(models, [left.pop(0)])
        models.learn([make_delta(interactions[n * 5 : n * 5 + 5])])
    stock(models, left)
    for source in SOURCES:
        found = source_scores(models, source, ("i0", "i3"), ("i2",))
        assert close(found, source_scores(expected, source, ("i0", "i3"), ("i2",)))


@pytest.mark.parametrize("cut", [0, 1, 150, 299])
@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(max_sessions=16, postings=5, rule_targets=10)])
def test_a_restored_snapshot_goes_on_as_if_never_stopped(cut: int, config: ModelConfig) -> None:
    interactions = make_interactions(3, items=80)
    before, after = make_delta(interactions[:cut]), make_delta(interactions[cut:])
    models = Models(config)
    models.upsert_item("i7", CatalogueItem(item_id="i7", title="Cup", attributes={"a": 1}))
    stock(models, make_catalogue(10))
    models.learn([before])
    restored = Models.restore(models.snapshot(), config)
    for one in (models, restored):
        one.learn([after])
        for name in ("i1", "i2", "i20", "i70"):
            one.upsert_item(name, CatalogueItem(item_id=name, category=f"new {name}"))
        one.withdraw_item("i3")
    assert restored.catalogue == models.catalogue
    assert answers(restored) == answers(models)
    fresh = models.snapshot()
    assert all(np.array_equal(fresh[name], array) for name, array in restored.snapshot().items())


def test_a_snapshot_is_a_copy_of_the_used_part() -> None:
    models = learned(make_interactions(1))
    arrays = models.snapshot()
    kept = {name: array.copy() for name, array in arrays.items()}
    models.learn([make_delta(make_interactions(2))])
    models.upsert_item("new", CatalogueItem(item_id="new"))
    assert all(np.array_equal(kept[name], array) for name, array in arrays.items())
    assert len(arrays["sessions.rows"]) == len(arrays["session_keys"]) > 50
    assert len(arrays["popularity.score"]) == len(arrays["item_ends"])


@pytest.mark.parametrize("version", [None, 1, 3])
def test_a_snapshot_of_another_version_is_refused(version: int | None) -> None:
    arrays = Models().snapshot()
    del arrays["version"]
    if version is not None:
        arrays["version"] = np.array([version])
    with pytest.raises(ValueError, match=f"snapshot has version {version}, this program reads 2: delete"):
        Models.restore(arrays)


def test_a_snapshot_learned_with_other_values_is_refused() -> None:
    arrays = learned(make_interactions(1)).snapshot()
    with pytest.raises(ValueError, match=r"max_sessions=262144.*now it is max_sessions=16.*delete"):
        Models.restore(arrays, ModelConfig(max_sessions=16))
    assert Models.restore(arrays, ModelConfig(neighbours=7)).n_items


def test_memory_stays_within_the_caps() -> None:
    config = ModelConfig(max_sessions=64, postings=20, rule_targets=30)
    models = learned(make_interactions(1, events=4000, items=50, sessions=500), config)
    sizes = {name: array.nbytes for name, array in models.snapshot().items()}
    models.learn([make_delta(make_interactions(2, events=20_000, items=50, sessions=20_000, days=300))])
    assert models.sessions.rows.shape == (64, config.session_items)
    assert models.n_sessions == 64
    assert models.sessions.posted.max() == 20
    assert models.rules.kept.max() == 30
    # A list passes through one block of each size; freed blocks are used again.
    assert models.sessions.heap[0] <= 50 * (8 + 16 + 20)
    assert models.rules.heap[0] <= 50 * (8 + 16 + 30)
    assert models.snapshot()["sessions.rows"].nbytes == sizes["sessions.rows"]


def test_times_years_apart_keep_their_order() -> None:
    models = learned(
        [
            (item, session, T + session * 9 * 365 * DAY, CLICK)
            for session in (1, 2, 3)
            for item in ("a", f"b{session}")
        ],
        show_everything(),
    )
    found = source_scores(models, "session_knn", ("a",))
    assert np.isfinite(list(found.values())).all()
    assert found.get("b1", 0) <= found.get("b2", 0) < found["b3"]
    assert all(np.isfinite(array).all() for array in (models.rules.weight, models.popularity.score))


def test_rescaling_changes_no_score() -> None:
    interactions = make_interactions(4, days=900)
    slow = learned(interactions, show_everything(popularity_decay_days=30.0))
    fast = learned(interactions, show_everything(popularity_decay_days=3.0))
    assert fast._origin != slow._origin
    for source in ("session_knn", "sequence_rules"):
        found = source_scores(fast, source, ("i0", "i1"))
        assert close(found, source_scores(slow, source, ("i0", "i1")))


def test_an_event_from_long_ago_disturbs_nothing() -> None:
    interactions = make_interactions(4)
    models = learned([*interactions, ("late", 999, 0, CLICK), ("later", 999, -T, CLICK)], show_everything())
    expected = learned(interactions, show_everything())
    for source in ("session_knn", "sequence_rules", "popularity"):
        before = source_scores(expected, source, ("i3",))
        found = source_scores(models, source, ("i3",))
        assert found["i0"] == pytest.approx(before["i0"], rel=0.02)
    assert "late" not in source_scores(models, "popularity")


def test_any_string_is_an_item_id() -> None:
    names = ["", " ", "\ud800", "a\nb", "\x00", "ß" * 500]
    models = learned([(name, 1, T, CLICK) for name in names])
    restored = Models.restore(models.snapshot())
    assert restored.item_ids == names
    assert retrieve(restored, Query(("",))).items.tolist() == retrieve(models, Query(("",))).items.tolist()


def test_session_keys_may_be_as_large_as_json_allows() -> None:
    models = learned([("a", 2**53 - 1, T, CLICK), ("b", 2**53 - 1, T, CLICK)])
    assert Models.restore(models.snapshot()).session_sequence(2**53 - 1) == 0


def test_a_delta_with_arrays_of_different_length_is_refused_whole() -> None:
    good = make_delta([("a", 1, T, CLICK)])
    bad = make_delta([("b", 1, T, CLICK)])
    bad = type(bad)(**{field: getattr(bad, field) for field in bad.__struct_fields__} | {"time": ()})
    models = Models()
    with pytest.raises(ValueError, match=r"delta of partition 0: .* differ in length"):
        models.learn([good, bad])
    assert (models.n_sessions, models.popularity.score.sum()) == (0, 0.0)


def test_a_catalogue_item_never_seen_in_events_can_be_changed_and_withdrawn() -> None:
    models = Models()
    models.upsert_item("a", CatalogueItem(item_id="a"))
    models.upsert_item("a", CatalogueItem(item_id="a", title="Cup"))
    models.upsert_item("b", CatalogueItem(item_id="b"))
    models.withdraw_item("a")
    models.withdraw_item("never there")
    assert models.catalogue == {"b": CatalogueItem(item_id="b")}
    assert [models.item_ids[i] for i in retrieve(models, Query(())).items] == ["b"]


def test_without_a_catalogue_everything_seen_is_recommendable_again() -> None:
    models = learned([("a", 1, T, CLICK), ("b", 2, T, CLICK)])
    models.upsert_item("c", CatalogueItem(item_id="c"))
    assert [models.item_ids[i] for i in retrieve(models, Query(())).items] == ["c"]
    models.withdraw_item("c")
    assert [models.item_ids[i] for i in retrieve(models, Query(())).items] == ["a", "b", "c"]


def test_an_item_seen_beside_a_catalogue_waits_for_its_entry() -> None:
    models = Models()
    models.upsert_item("a", CatalogueItem(item_id="a"))
    models.learn([make_delta([("b", 1, T, CLICK), ("a", 1, T, CLICK)])])
    assert [models.item_ids[i] for i in retrieve(models, Query(())).items] == ["a"]
    models.upsert_item("b", CatalogueItem(item_id="b"))
    assert sorted(models.item_ids[i] for i in retrieve(models, Query(())).items) == ["a", "b"]


def test_dense_ids_keep_the_first_of_repeats() -> None:
    models = learned([(name, 1, T, CLICK) for name in "abc"])
    assert models.dense_ids(["c", "?", "a", "c"]).tolist() == [2, 0]


def test_warming_leaves_the_models_as_they_are() -> None:
    models = learned(make_interactions(1))
    before, items = answers(models), models.n_items
    models.warm()
    assert answers(models) == before
    assert models.n_items == items


def test_the_category_of_an_item_is_the_catalogues():
    models = Models()
    models.learn([make_delta([("seen", 1, T, 2)])])
    models.upsert_item("a", CatalogueItem(item_id="a", category="shoes"))
    models.upsert_item("b", CatalogueItem(item_id="b"))
    models.upsert_item("c", CatalogueItem(item_id="c", category="tents"))
    models.withdraw_item("c")

    def category(of, item_id):
        return of.categories.names[of.categories.codes(of.n_items)[of.items.ids[item_id]]]

    for each in (models, Models.restore(models.snapshot())):
        assert [category(each, item_id) for item_id in ("seen", "a", "b", "c")] == ["", "shoes", "", ""]
