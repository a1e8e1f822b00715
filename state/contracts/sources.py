"""What every plugged-in candidate source promises, as a test class to inherit.

    class TestSeason(SourceContract):
        @pytest.fixture
        def make(self) -> MakeSource:
            return Season

A small shop teaches it. Give the fixtures `deltas` and `catalogue` a shop of your own where the source looks
at more than items, sessions and categories.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
import pytest

from state.catalogue import CatalogueItem
from state.event import TYPE_CODES
from state.models import Models
from state.retrieval.blend import Query, retrieve_all
from state.retrieval.plugged import Plugged, PluggedSources
from state.retrieval.source import CandidateSource, Proposals, checked
from state.retrieval.weights import SOURCES
from state.slate import Delta

MakeSource: TypeAlias = Callable[[], CandidateSource]

ITEMS: Final = tuple(f"i{n}" for n in range(30))
HOUR_MS: Final = 3_600_000
T: Final = 1_763_831_000_000


class SourceContract:
    """Inherit it, name the class `Test...`, and give the fixture `make`."""

    @pytest.fixture
    def make(self) -> MakeSource:
        """What builds a new source that has learned nothing: the entry point's target."""
        message = "give the test class a fixture `make`"
        raise NotImplementedError(message)

    @pytest.fixture
    def deltas(self) -> Sequence[Delta]:
        """What shoppers did."""
        return [_delta(number) for number in range(12)]

    @pytest.fixture
    def catalogue(self) -> Sequence[CatalogueItem]:
        """The shop's items, one of them sold out."""
        return [
            CatalogueItem(item_id=item, title=f"Item {item}", category=f"c{n % 4}", available=n != 7)
            for n, item in enumerate(ITEMS)
        ]

    @pytest.fixture
    def queries(self, deltas: Sequence[Delta]) -> Sequence[Query]:
        """Users at all stages, the one of whom nothing is known among them."""
        items = [item for delta in deltas for item in delta.items] or list(ITEMS)
        return [
            Query((), now=T),
            Query(("never seen",), now=T),
            Query((items[0],), now=T, session_key=1),
            Query((items[0], items[1], items[0]), (items[2],), (items[3],), now=T + HOUR_MS),
            Query(tuple(items[:20]), tuple(items[20:40]), frozenset(items[:5]), now=T, size=5),
        ]

    @pytest.fixture
    def source(
        self, make: MakeSource, catalogue: Sequence[CatalogueItem], deltas: Sequence[Delta]
    ) -> CandidateSource:
        """A source that was taught."""
        return taught(make, catalogue, deltas)

    def test_it_answers_before_it_has_learned_anything(
        self, make: MakeSource, queries: Sequence[Query]
    ) -> None:
        checked(make().score(queries), queries)

    def test_it_answers_every_query_with_items_and_scores(
        self, source: CandidateSource, queries: Sequence[Query]
    ) -> None:
        checked(source.score(queries), queries)
        assert len(source.score(())) == 0

    def test_it_proposes_something_to_somebody(
        self, source: CandidateSource, queries: Sequence[Query]
    ) -> None:
        assert any(len(said.item_ids) for said in source.score(queries)), "it never proposes an item"

    def test_a_query_is_answered_in_a_batch_as_alone(
        self, source: CandidateSource, queries: Sequence[Query]
    ) -> None:
        assert plain(source.score(queries)) == [plain(source.score([query]))[0] for query in queries]

    def test_asking_changes_nothing(self, source: CandidateSource, queries: Sequence[Query]) -> None:
        first = plain(source.score(queries))
        assert plain(source.score(queries)) == first

    def test_two_that_learned_the_same_answer_the_same(
        self,
        make: MakeSource,
        source: CandidateSource,
        catalogue: Sequence[CatalogueItem],
        deltas: Sequence[Delta],
        queries: Sequence[Query],
    ) -> None:
        other = taught(make, catalogue, deltas)
        assert plain(other.score(queries)) == plain(source.score(queries))

    def test_it_does_not_matter_how_deltas_are_cut_into_calls(
        self,
        make: MakeSource,
        source: CandidateSource,
        catalogue: Sequence[CatalogueItem],
        deltas: Sequence[Delta],
        queries: Sequence[Query],
    ) -> None:
        other = taught(make, catalogue, ())
        for delta in deltas:
            other.learn([delta])
        assert plain(other.score(queries)) == plain(source.score(queries))

    def test_it_goes_on_where_its_snapshot_was_taken(
        self,
        make: MakeSource,
        catalogue: Sequence[CatalogueItem],
        deltas: Sequence[Delta],
        queries: Sequence[Query],
    ) -> None:
        half = len(deltas) // 2
        whole = taught(make, catalogue, deltas[:half])
        restored = make()
        state = whole.snapshot()
        assert isinstance(state, bytes), "a snapshot is bytes"
        restored.restore(state)
        assert plain(restored.score(queries)) == plain(whole.score(queries))
        for each in (whole, restored):
            each.learn(deltas[half:])
            each.withdraw_item(catalogue[0].item_id)
        assert plain(restored.score(queries)) == plain(whole.score(queries))

    def test_an_item_may_leave_that_it_never_heard_of(
        self, source: CandidateSource, queries: Sequence[Query]
    ) -> None:
        source.withdraw_item("never heard of")
        checked(source.score(queries), queries)

    def test_the_engine_blends_it(
        self,
        source: CandidateSource,
        catalogue: Sequence[CatalogueItem],
        deltas: Sequence[Delta],
        queries: Sequence[Query],
    ) -> None:
        models = Models()
        for item in catalogue:
            models.upsert_item(item.item_id, item)
        models.learn(deltas)
        found = retrieve_all(models, queries, 20)
        blended = PluggedSources([Plugged("mine", 0.5, source)], models).blend(queries, found, 20)
        assert blended.contributions.shape[2] == len(SOURCES) + 1
        for row in range(len(queries)):
            items, scores, contributions = blended.of(row)
            assert (np.diff(scores) <= 0).all(), "the candidates are not in order"
            np.testing.assert_allclose(contributions.sum(axis=1), scores, rtol=1e-5)
            assert all(models.catalogue[models.item_ids[item]].available for item in items)


def taught(make: MakeSource, catalogue: Sequence[CatalogueItem], deltas: Sequence[Delta]) -> CandidateSource:
    """A new source that has learned this."""
    source = make()
    for item in catalogue:
        source.upsert_item(item)
    source.learn(deltas)
    return source


def plain(answer: Sequence[Proposals]) -> list[list[tuple[str, float]]]:
    """An answer that can be compared."""
    return [
        sorted((item_id, float(score)) for item_id, score in zip(item_ids, scores, strict=True))
        for item_ids, scores in answer
    ]


def _delta(number: int) -> Delta:
    """What a micro-batch of a small shop teaches: two sessions of three items each."""
    items = tuple(ITEMS[(5 * number + 3 * place) % len(ITEMS)] for place in range(6))
    return Delta(
        partition=0,
        spans=(),
        events=6,
        duplicates=0,
        dead_letters=0,
        slates=0,
        items=items,
        item=tuple(range(6)),
        session=tuple(1 + 2 * number + place // 3 for place in range(6)),
        time=tuple(T + number * HOUR_MS + 1000 * place for place in range(6)),
        type=(TYPE_CODES["click"],) * 6,
    )
