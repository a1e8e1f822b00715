import platform
import shutil
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from state.models import Models
from state.posterior.config import LearningConfig
from stream.config import Settings
from stream.followed import FollowedTopics
from stream.ranker import RankerFollower
from stream.replica import Replica
from stream.sizes import measure_build, measure_disk, measure_ranker, measure_sizes
from stream.worker_metrics import (
    ASSIGNED,
    BUILD,
    CACHE_BYTES,
    CAUGHT_UP,
    DISK_FREE,
    DISK_USED,
    MEMTABLE_BYTES,
    MODEL_BYTES,
    MODEL_ITEMS,
    MODEL_RULES,
    MODEL_SESSIONS,
    OPEN,
    QUEUE,
    RANKER,
    RANKER_REFUSED,
    RANKER_TRAINED,
    REPLICA_LAG,
    REPLICA_RECORDS,
    REPLICA_SKIPPED,
    SST_BYTES,
)
from tests.state.retrieval.shops import make_delta
from tests.stream.fakes import Rig
from tests.stream.made_ranker import made_artefact
from tests.stream.records import T, click, records


@pytest.fixture
async def rig(tmp_path):
    made = Rig(tmp_path)
    yield made
    await made.end()


@pytest.fixture
def replica(tmp_path):
    return Replica(
        "b:1",
        topics=FollowedTopics("deltas", "items", "rewards"),
        config=Models().config,
        learning=LearningConfig(),
        snapshot=tmp_path / "none",
        snapshot_seconds=60,
    )


def measure(rig, replica):
    measure_sizes(rig.metrics, rig.loop, rig.partitions, replica)
    return rig.metrics.value


async def test_a_worker_that_has_nothing_yet_shows_zeros_and_no_lag(rig, replica):
    value = measure(rig, replica)
    assert [value(metric) for metric in (QUEUE, ASSIGNED, OPEN, SST_BYTES, CAUGHT_UP, MODEL_ITEMS)] == [0] * 6
    assert b"\nfreshslate_replica_lag_records{" not in generate_latest(rig.metrics.registry)


async def test_partitions_and_waiting_chunks_are_those_of_the_loop(rig, replica):
    await rig.put(records([click("ann", "a")]))
    assert measure(rig, replica)(QUEUE) == 1
    await rig.begin(0, 3)
    await rig.idle()
    value = measure(rig, replica)
    assert (value(ASSIGNED), value(OPEN), value(QUEUE)) == (2, 2, 0)
    await rig.loop.revoked()
    value = measure(rig, replica)
    assert (value(ASSIGNED), value(OPEN)) == (0, 0)


async def test_rocksdbs_bytes_are_summed_but_for_the_cache_that_all_share(rig, replica):
    await rig.begin(0, 1)
    for p in (0, 1):
        await rig.put(records([click(f"u{n}", "a") for n in range(200)], partition=p))
    await rig.idle()
    one, other = (rig.partitions.store(p).usage() for p in (0, 1))
    value = measure(rig, replica)
    assert value(MEMTABLE_BYTES) == one.memtables + other.memtables > 10_000
    for p in (0, 1):
        rig.partitions.store(p)._db.flush()
    value = measure(rig, replica)
    assert value(SST_BYTES) > 1000
    assert value(CACHE_BYTES) == rig.partitions.store(0).usage().block_cache > 0


async def test_the_models_are_counted_and_weighed(rig, replica):
    replica.models.learn([make_delta([("a", 1, T, 2), ("b", 1, T + 1, 2), ("a", 2, T + 2, 2)])])
    replica.skipped_items = 3
    replica.folded["deltas"] = 1
    replica.caught_up.set()
    value = measure(rig, replica)
    assert (value(MODEL_ITEMS), value(MODEL_SESSIONS), value(CAUGHT_UP)) == (2, 2, 1)
    assert value(MODEL_RULES) == replica.models.n_rules > 0
    for name in ("sessions", "rules", "popularity", "hours", "content"):
        assert value(MODEL_BYTES, name) == sum(array.nbytes for array in getattr(replica.models, name)) > 0
    assert value(REPLICA_SKIPPED) == 3
    assert value(REPLICA_RECORDS, "deltas") == 1


async def test_the_replicas_lag_is_shown_by_topic(rig, replica, monkeypatch):
    monkeypatch.setattr(replica, "lag", lambda: {"deltas": 7, "items": 0})
    value = measure(rig, replica)
    assert value(REPLICA_LAG, "deltas") == value(REPLICA_LAG) == 7


def test_the_build_says_which_program_runs(rig):
    measure_build(rig.metrics, Settings(processing_guarantee="at_least_once"), "1.2.3")
    assert rig.metrics.value(BUILD, "1.2.3", platform.python_version(), "at_least_once") == 1


async def test_the_ranker_that_serves_is_shown_and_gone_when_the_blend_serves(rig):
    rankers = RankerFollower(Settings(), lambda ranker: None)

    def shown():
        measure_ranker(rig.metrics, rankers)
        return generate_latest(rig.metrics.registry).decode()

    assert "freshslate_ranker_info{" not in shown()
    rankers._take([SimpleNamespace(value=made_artefact(1), offset=0)])
    rankers._take([SimpleNamespace(value=b"broken", offset=1)])
    first = rankers.artefact.version
    assert f'freshslate_ranker_info{{version="{first}"}} 1.0' in shown()
    assert rig.metrics.value(RANKER_TRAINED) == rankers.artefact.card.trained_at / 1000
    assert rig.metrics.value(RANKER_REFUSED) == 1
    rankers._take([SimpleNamespace(value=made_artefact(2), offset=2)])
    assert first not in shown()
    assert rig.metrics.value(RANKER, rankers.artefact.version) == 1
    rankers._take([SimpleNamespace(value=None, offset=3)])
    assert "freshslate_ranker_info{" not in shown()


async def test_the_disk_says_how_much_room_is_left_and_how_much_of_it_is_ours(rig, tmp_path):
    (tmp_path / "own").mkdir()
    measure_disk(rig.metrics, tmp_path / "own")
    before = rig.metrics.value(DISK_USED)
    assert 0 < rig.metrics.value(DISK_FREE) <= shutil.disk_usage(tmp_path).total
    (tmp_path / "own" / "p0").mkdir()
    (tmp_path / "own" / "p0" / "1.sst").write_bytes(bytes(1_000_000))
    (tmp_path / "own" / "gone").symlink_to(tmp_path / "nowhere")
    measure_disk(rig.metrics, tmp_path / "own")
    assert 1_000_000 <= rig.metrics.value(DISK_USED) - before < 1_100_000
    measure_disk(rig.metrics, tmp_path / "gone")
    assert rig.metrics.value(DISK_USED) == 0
