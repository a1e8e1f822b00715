import pytest

from state.catalogue import CatalogueItem
from state.evaluation.contenders import Engine
from state.models import Models
from state.retrieval.blend import SOURCES, Query, Ranked, retrieve
from state.retrieval.config import ModelConfig
from tests.state.evaluation.logs import T, log_of, shop

LOG = log_of(shop(1), T)
QUERY = Query(("i3", "i4"), ("i20",), now=T)


def taught(engine: Engine) -> Engine:
    engine.learn(LOG.deltas(0, LOG.rows))
    return engine


def names(engine: Engine, query: Query, size: int = 20) -> list[str]:
    return [engine.item_ids[number] for number in engine.rank([query], size)[0] if number >= 0]


def test_the_engine_lists_what_a_worker_retrieves() -> None:
    models = Models()
    models.learn(LOG.deltas(0, LOG.rows))
    best = retrieve(models, QUERY).items[:7]
    assert names(taught(Engine()), QUERY, 7) == [models.item_ids[item] for item in best]


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_alone_lists_only_what_it_scores(source: str) -> None:
    catalogue = {f"i{n}": CatalogueItem(item_id=f"i{n}", category=f"c{n % 4}") for n in range(40)}
    models = Models(ModelConfig(history_weight=1.0, hour_weight=1.0))
    for item_id, item in catalogue.items():
        models.upsert_item(item_id, item)
    models.learn(LOG.deltas(0, LOG.rows))
    found = retrieve(models, QUERY)
    scored = {
        models.item_ids[item]
        for item, parts in zip(found.items, found.contributions, strict=True)
        if parts[SOURCES.index(source)] > 0
    }
    listed = names(taught(Engine(sources=[source], catalogue=catalogue)), QUERY)
    assert listed
    assert set(listed) <= scored


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(ValueError, match="there is no source magic; known are session_knn"):
        Engine(sources=["magic"])


def test_items_of_the_catalogue_can_be_listed_before_their_first_event() -> None:
    engine = Engine(catalogue={"new": CatalogueItem(item_id="new")})
    assert names(engine, Query(())) == ["new"]


def test_an_engine_that_knows_nothing_lists_nothing() -> None:
    assert Engine().rank([QUERY, QUERY], 20).shape == (2, 0)


def test_a_step_after_retrieval_sees_the_candidates_of_a_worker() -> None:
    def backwards(models: Models, queries, ranked: Ranked) -> Ranked:
        assert models.n_items == len(LOG.names)
        assert len(queries) == 1
        count = int(ranked.counts[0])
        assert count > 20
        items = ranked.items.copy()
        items[:, :count] = ranked.items[:, :count][:, ::-1]
        return ranked._replace(items=items)

    plain, turned = taught(Engine()), taught(Engine(rerank=backwards))
    everything = plain.rank([QUERY], 60)[0]
    everything = everything[everything >= 0]
    assert turned.rank([QUERY], 5)[0].tolist() == everything[::-1][:5].tolist()
