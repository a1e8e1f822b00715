"""A good source passes the contract, and each broken promise fails its test."""

import json
from collections import Counter

import pytest

from state.contracts.sources import SourceContract, taught
from state.errors import InvalidProposals
from state.retrieval.source import CandidateSource, Proposals


class Seen(CandidateSource):
    """What was seen most, without the session's own items."""

    def __init__(self):
        self.seen = Counter()

    def learn(self, deltas):
        for delta in deltas:
            self.seen.update(delta.items[index] for index in delta.item)

    def withdraw_item(self, item_id):
        self.seen.pop(item_id, None)

    def score(self, queries):
        return [self.proposals(query) for query in queries]

    def proposals(self, query):
        ranked = sorted(self.seen, key=lambda item: (-self.seen[item], item))[: query.size]
        kept = [item for item in ranked if item not in query.session]
        return Proposals(kept, [self.seen[item] for item in kept])

    def snapshot(self):
        return json.dumps(self.seen).encode()

    def restore(self, state):
        self.seen = Counter(json.loads(state))


class TestSeen(SourceContract):
    @pytest.fixture
    def make(self):
        return Seen


class Broken(SourceContract):
    """The contract's methods, to be called with a source."""

    def run(self, test, make):
        catalogue, deltas = (
            each.__wrapped__(self) for each in (SourceContract.catalogue, SourceContract.deltas)
        )
        given = {
            "make": make,
            "catalogue": catalogue,
            "deltas": deltas,
            "queries": SourceContract.queries.__wrapped__(self, deltas),
            "source": taught(make, catalogue, deltas),
        }
        names = test.__code__.co_varnames[1 : test.__code__.co_argcount]
        test(self, **{name: given[name] for name in names})


class Moody(Seen):
    def score(self, queries):
        self.seen["i1"] += 1
        return super().score(queries)


class Neighbourly(Seen):
    """Answers depend on the other queries."""

    def score(self, queries):
        answers = super().score(queries)
        return [Proposals(ids, [score + len(queries) for score in scores]) for ids, scores in answers]


class Forgetful(Seen):
    def restore(self, state):
        del state


class Cut(Seen):
    """Counts calls, not events."""

    def learn(self, deltas):
        super().learn(deltas[:1])


class Needy(Seen):
    def proposals(self, query):
        return super().proposals(query) if self.seen else Proposals(["a"], [])


class Mute(Seen):
    def proposals(self, query):
        return Proposals((), ())


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (Moody, SourceContract.test_asking_changes_nothing),
        (Neighbourly, SourceContract.test_a_query_is_answered_in_a_batch_as_alone),
        (Forgetful, SourceContract.test_it_goes_on_where_its_snapshot_was_taken),
        (Cut, SourceContract.test_it_does_not_matter_how_deltas_are_cut_into_calls),
        (Needy, SourceContract.test_it_answers_before_it_has_learned_anything),
        (Mute, SourceContract.test_it_proposes_something_to_somebody),
    ],
)
def test_a_broken_promise_is_seen(make, test):
    Broken().run(test, Seen)
    with pytest.raises((AssertionError, InvalidProposals)):
        Broken().run(test, make)


def test_the_contract_asks_for_its_source():
    with pytest.raises(NotImplementedError, match="fixture `make`"):
        SourceContract.make.__wrapped__(SourceContract())
