"""From the parts of a worker to what is told of it."""

import json
from types import SimpleNamespace

import pytest

from stream.config import Settings
from stream.vitals import Vitals
from stream.worker_metrics import CYCLE_SECONDS, LAST_COMMIT, WorkerMetrics


class Scene:
    """A worker's parts and the time, in the test's hands."""

    def __init__(self):
        self.now = 1000.0
        self.error = None
        self.behind = {}
        self.is_caught_up = False
        self.worker = SimpleNamespace(
            metrics=WorkerMetrics(now=lambda: 5000.0 + self.now),
            partitions=SimpleNamespace(opened=frozenset(), restore_left=None, expected=self.expected),
            replica=SimpleNamespace(
                caught_up=SimpleNamespace(is_set=lambda: self.is_caught_up), lag=lambda: self.behind
            ),
            loop=SimpleNamespace(assignment=frozenset()),
            source=SimpleNamespace(passed=dict),
        )
        self.settings = Settings(stall_seconds=60, lag_poll_seconds=5)
        self.vitals = Vitals(self.worker, self.settings, lambda: self.error, lambda: self.now)
        self.vitals._lag._ends = self
        self.processed = 0
        self.end = 0

    def expected(self, topic, partition):
        return self.processed

    async def ends(self, tps):
        return dict.fromkeys(tps, self.end)

    async def look(self, *, after=5.0):
        self.now += after
        await self.vitals._lag.look()
        return self.vitals.facts()

    def assign(self, *partitions):
        self.vitals.assigned = self.worker.loop.assignment = frozenset(partitions)

    def commit(self):
        self.worker.metrics.observe(CYCLE_SECONDS, [0.01])
        self.worker.metrics.set(LAST_COMMIT, self.worker.metrics.now())

    def run(self):
        """To the point where everything is up to date."""
        self.is_caught_up = True
        self.assign(0)
        self.worker.partitions.opened = frozenset({0})


@pytest.fixture
def scene():
    return Scene()


async def test_models_are_unknown_then_behind_then_caught_up(scene):
    assert scene.vitals.facts().models_left is None
    scene.behind = {"deltas": 3, "items": 4}
    assert scene.vitals.facts().models_left == 7
    scene.behind = {"deltas": 0, "items": 0}
    assert scene.vitals.facts().models_left is None  # nothing has been fetched yet
    scene.is_caught_up = True
    assert scene.vitals.facts().models_left == 0
    scene.behind = {"deltas": 50, "items": 0}
    assert scene.vitals.facts().models_left == 0  # how far it is behind later is a metric


async def test_a_refused_loop_has_no_assignment_whatever_the_group_said(scene):
    scene.run()
    assert scene.vitals.facts().assigned == {0}
    scene.worker.loop.assignment = frozenset()
    assert scene.vitals.facts().assigned is None
    scene.assign()
    assert scene.vitals.facts().assigned == frozenset()


async def test_a_stuck_worker_is_unhealthy_and_healthy_again_when_it_commits(scene):
    scene.run()
    scene.commit()
    await scene.look()
    assert scene.vitals.healthy().status == 200
    scene.end = 7
    for _ in range(12):
        await scene.look()
        assert scene.vitals.healthy().status == 200
    await scene.look()
    page = scene.vitals.healthy()
    assert page.status == 503
    assert json.loads(page.body)["reasons"] == [
        "stalled: 7 records of input are waiting, and nothing was committed or restored for 60 s"
    ]
    assert json.loads(page.body)["lag_seconds"] == 60
    assert scene.vitals.ready().status == 200
    scene.processed = 3
    scene.commit()
    assert scene.vitals.healthy().status == 200


async def test_a_long_restore_that_advances_is_no_stall(scene):
    scene.run()
    scene.worker.partitions.opened = frozenset()
    for left in range(40, 0, -1):
        scene.worker.partitions.restore_left = left
        await scene.look()
        assert scene.vitals.healthy().status == 200
    for _ in range(12):
        await scene.look()
    assert "are to be restored" in json.loads(scene.vitals.healthy().body)["reasons"][0]


async def test_a_loop_of_refusals_is_a_stall(scene):
    scene.run()
    scene.end = 7
    for _ in range(7):
        scene.worker.loop.assignment = scene.worker.partitions.opened = frozenset()
        await scene.look()
        scene.run()
        await scene.look()
    assert scene.vitals.healthy().status == 503


async def test_how_long_ago_the_last_commit_was_is_told(scene):
    assert json.loads(scene.vitals.ready().body)["last_commit_seconds_ago"] is None
    scene.commit()
    scene.now += 12
    body = json.loads(scene.vitals.ready().body)
    assert (body["last_commit_seconds_ago"], body["uptime_seconds"]) == (12, 12)


async def test_lag_is_told_once_it_is_known_of_every_assigned_partition(scene):
    scene.run()
    assert scene.vitals.facts().lag_records is None
    scene.end = 3
    assert (await scene.look()).lag_records == 3
    scene.assign(0, 1)
    assert scene.vitals.facts().lag_records is None
    assert json.loads(scene.vitals.ready().body)["lag_seconds"] is None
    scene.worker.partitions.opened = frozenset({0, 1})
    assert (await scene.look()).lag_records == 6


async def test_what_the_page_says_of_partitions_is_sorted(scene):
    scene.assign(3, 1, 2)
    scene.worker.partitions.opened = frozenset({2, 1})
    body = json.loads(scene.vitals.ready().body)
    assert (body["partitions"], body["restored"]) == ([1, 2, 3], [1, 2])


async def test_an_error_says_what_it_is_even_without_words(scene):
    scene.error = KeyError()
    assert json.loads(scene.vitals.healthy().body)["reasons"] == ["failed: KeyError"]
