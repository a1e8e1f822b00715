import logging

import pytest

from state.errors import SetupError
from state.retrieval.blend import Query
from state.retrieval.source import CandidateSource, Proposals
from stream.plugins import Watched, plugged_policy, plugged_sources
from stream.worker_metrics import SOURCE_ERRORS, SOURCE_SECONDS, WorkerMetrics
from tests.stream.distributions import install

MODULE = """
from state.policy.softmax import Softmax
from state.retrieval.source import CandidateSource, Proposals


class Good(CandidateSource):
    def score(self, queries):
        return [Proposals(["a"], [1.0])] * len(queries)


class Rubbish(CandidateSource):
    def score(self, queries):
        return [Proposals(["a"], [])] * len(queries)


class Raises(CandidateSource):
    def score(self, queries):
        raise ZeroDivisionError("by nobody")


def unbuildable():
    raise ValueError("no model file")


class Mine(Softmax):
    name = "mine"


class Misnamed(Softmax):
    name = "other"


class Half:
    name = "half"
    version = "12345678"
"""
SOURCES = {
    "good": "acme:Good",
    "second": "acme:Good",
    "rubbish": "acme:Rubbish",
    "raises": "acme:Raises",
    "unbuildable": "acme:unbuildable",
    "absent": "acme:Absent",
    "gone": "acme_gone:Absent",
    "no_source": "builtins:object",
    "popularity": "acme:Good",
    "Loud": "acme:Good",
}
POLICIES = {"mine": "acme:Mine", "misnamed": "acme:Misnamed", "half": "acme:Half"}
QUERIES = [Query(()), Query(("a",))]


@pytest.fixture(autouse=True)
def acme(tmp_path, monkeypatch):
    groups = {"freshslate.sources": SOURCES, "freshslate.policies": POLICIES}
    monkeypatch.syspath_prepend(install(tmp_path, "acme", {"acme.py": MODULE}, groups))
    monkeypatch.delitem(__import__("sys").modules, "acme", raising=False)


@pytest.fixture
def metrics():
    return WorkerMetrics()


def test_sources_are_built_in_order_with_their_weights(metrics):
    built = plugged_sources([("second", 0.5), ("good", 0.25)], metrics)
    assert [(each.name, each.weight) for each in built] == [("second", 0.5), ("good", 0.25)]
    assert built[0].source.score(QUERIES) == [Proposals(["a"], [1.0])] * 2


def test_a_source_of_no_weight_is_left_out(metrics):
    assert plugged_sources([("raises", 0.0)], metrics) == ()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unknown", "0 plug-ins are called 'unknown', there must be one; known: "),
        ("rubbish", r"candidate source rubbish cannot answer .*1 items with 0 scores"),
        ("raises", r"candidate source raises cannot answer .* ZeroDivisionError\('by nobody'\)"),
        ("unbuildable", r"plug-in unbuildable \(acme:unbuildable\) cannot be built: .*no model file"),
        ("absent", r"plug-in absent \(acme:Absent\) cannot be built: .*Absent"),
        ("gone", r"plug-in gone \(acme_gone:Absent\) cannot be built: ModuleNotFoundError"),
        ("no_source", "candidate source no_source is <object object at .* and no CandidateSource"),
        ("popularity", "candidate source popularity has the name of one of Freshslate's own"),
        ("Loud", "'Loud' cannot be a name"),
    ],
)
def test_a_source_that_does_not_work_is_named_at_the_start(metrics, name, told):
    with pytest.raises(SetupError, match=told):
        plugged_sources([(name, 1.0)], metrics)


def test_two_distributions_may_not_call_theirs_the_same(tmp_path, monkeypatch, metrics):
    other = install(tmp_path / "b", "other", {}, {"freshslate.sources": {"good": "acme:Good"}})
    monkeypatch.syspath_prepend(other)
    with pytest.raises(SetupError, match="2 plug-ins are called 'good'"):
        plugged_sources([("good", 1.0)], metrics)


def test_a_policy_is_built_by_its_name():
    assert plugged_policy("mine").name == "mine"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("misnamed", "policy misnamed calls itself 'other'"),
        ("half", "policy half has no choose_all"),
        ("unknown", "0 plug-ins are called 'unknown'"),
    ],
)
def test_a_policy_that_is_none_is_named(name, told):
    with pytest.raises(SetupError, match=told):
        plugged_policy(name)


class Fails(CandidateSource):
    """Fails as long as it is told to, whatever it is asked."""

    failing = True

    def _may(self):
        if self.failing:
            message = "out of order"
            raise RuntimeError(message)

    def score(self, queries):
        self._may()
        return [Proposals(["a"], [1.0])] * len(queries)

    def learn(self, deltas):
        self._may()

    def upsert_item(self, item):
        self._may()

    def withdraw_item(self, item_id):
        self._may()

    def snapshot(self):
        self._may()
        return b"state"

    def restore(self, state):
        self._may()


def test_a_source_that_fails_costs_its_own_proposals_and_is_counted(metrics, caplog):
    source = Fails()
    watched = Watched("mine", source, metrics)
    assert metrics.value(SOURCE_ERRORS, "mine") == 0
    assert watched.score(QUERIES) == [Proposals((), ())] * 2
    watched.learn([])
    watched.upsert_item(None)
    watched.withdraw_item("a")
    assert metrics.value(SOURCE_ERRORS, "mine") == 4
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert lines == ["candidate source mine failed in score and is left out: RuntimeError('out of order')"]
    source.failing = False
    assert watched.score(QUERIES) == [Proposals(["a"], [1.0])] * 2
    assert metrics.value(SOURCE_ERRORS, "mine") == 4
    assert metrics.value(SOURCE_SECONDS, "mine") > 0


def test_what_it_answers_is_checked(metrics):
    class Rubbish(Fails):
        def score(self, queries):
            return [Proposals(["a"], [-1.0])] * len(queries)

    assert Watched("mine", Rubbish(), metrics).score(QUERIES) == [Proposals((), ())] * 2
    assert metrics.value(SOURCE_ERRORS, "mine") == 1


def test_a_snapshot_that_fails_is_no_snapshot(metrics):
    source = Fails()
    watched = Watched("mine", source, metrics)
    with pytest.raises(RuntimeError):
        watched.snapshot()
    with pytest.raises(RuntimeError):
        watched.restore(b"")
    source.failing = False
    assert watched.snapshot() == b"state"
