import math

import pytest

from state.catalogue import CatalogueItem
from state.errors import InvalidProposals
from state.retrieval.blend import Query
from state.retrieval.source import CandidateSource, Proposals, checked

QUERIES = [Query(()), Query(("a",))]
GOOD = [Proposals((), ()), Proposals(["a", "b"], [0.5, 0.0])]


class Silent(CandidateSource):
    def score(self, queries):
        return [Proposals((), ())] * len(queries)


def test_a_good_answer_comes_back():
    assert checked(GOOD, QUERIES) is GOOD


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (GOOD[:1], "1 answers to 2 queries"),
        ([Proposals(["a"], []), GOOD[1]], "1 items with 0 scores"),
        ([GOOD[0], Proposals(["a", "a"], [1, 2])], "an item twice among"),
        ([GOOD[0], Proposals([7], [1.0])], "7 is not an item id"),
        ([GOOD[0], Proposals(["a"], [-1.0])], "score -1.0 of 'a' is not a number from 0 up"),
        ([GOOD[0], Proposals(["a"], [math.nan])], "score nan of 'a'"),
        ([GOOD[0], Proposals(["a"], [math.inf])], "score inf of 'a'"),
    ],
)
def test_what_cannot_be_used_is_said(answer, told):
    with pytest.raises(InvalidProposals, match=told):
        checked(answer, QUERIES)


def test_a_source_that_learns_nothing_needs_only_a_score():
    source = Silent()
    source.learn([])
    source.upsert_item(CatalogueItem(item_id="a"))
    source.withdraw_item("a")
    source.restore(source.snapshot())
    assert checked(source.score(QUERIES), QUERIES)


def test_a_source_without_a_score_cannot_be_made():
    with pytest.raises(TypeError):
        type("Nothing", (CandidateSource,), {})()
