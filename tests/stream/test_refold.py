"""Models that are folded again are the worker's own, bit for bit; and where they cannot be, it is counted."""

import asyncio

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from state.slate import Folded
from stream.refold import Orders, Refold, deltas_of
from tests.stream.pasts import SETTINGS, Worker, World, same


def said_of(world):
    return [delta for _, delta in deltas_of(SETTINGS, world.shared)]


def told(world, worker):
    """What a worker's deltas say, in the order in which it said so."""
    found = [delta.folded for delta in said_of(world) if delta.folded.worker == worker]
    return sorted(found, key=lambda folded: folded.number)


def refold(world, deltas=None):
    return Refold(SETTINGS, world.shared, Orders(said_of(world) if deltas is None else deltas))


def lived(seed=1, cycles=6):
    """Two workers that fold in other orders; the content of their models at each cycle, by worker."""
    world = World()
    workers = {name: Worker(world, name, seed=seed + n) for n, name in enumerate(("a", "b"))}
    contents = {name: [] for name in workers}
    for _ in range(cycles):
        for partition, (name, worker) in enumerate(workers.items()):
            worker.fold()
            worker.fold()
            contents[name].append(worker.cycle(partition))
    return world, contents


@pytest.mark.parametrize("seed", range(4))
def test_the_models_of_every_cycle_come_back_bit_for_bit(seed):
    world, contents = lived(seed)
    for name, expected in contents.items():
        again = refold(world)
        for folded, content in zip(told(world, name), expected, strict=True):
            again.until(folded)
            assert same(again.models.snapshot(), content)
        assert again.assumed == 0
        assert again.folded > 10


def test_any_one_moment_comes_back_without_those_before():
    world, contents = lived()
    again = refold(world)
    again.until(told(world, "b")[3])
    assert same(again.models.snapshot(), contents["b"][3])


def test_the_order_matters_or_these_tests_would_show_nothing():
    world, contents = lived(cycles=8)
    last = told(world, "a")[-1]
    by_time = Refold(SETTINGS, world.shared, Orders(()))
    by_time.until(last)
    assert not same(by_time.models.snapshot(), contents["a"][-1])


def test_a_worker_goes_on_from_a_snapshot_of_another_and_its_past_is_found_through_it(tmp_path):
    world = World()
    first = Worker(world, "a", seed=1)
    for _ in range(3):
        first.fold()
        first.cycle(0)
        first.fold()
        first.cycle(1)
    first.fold()
    first.fold()  # what no delta of the first worker tells
    snapshot = tmp_path / "models.npz"
    first.replica._snapshot = snapshot
    asyncio.run(first.replica.save())
    first.fold()
    first.cycle(0)  # beyond the snapshot: another line of the past
    second = Worker(world, "b", seed=9, snapshot=snapshot)
    second.fold()
    content = second.cycle(1)
    (folded,) = told(world, "b")
    assert folded.parent == "a"
    again = refold(world)
    again.until(folded)
    assert again.assumed == 0
    assert same(again.models.snapshot(), content)


def test_a_worker_that_caught_up_believed_anew_and_so_does_who_folds_it_again(monkeypatch):
    world = World()
    worker = Worker(world, "a")
    worker.fold()
    worker.replica.journal.add("deltas", 0, 0, 0)
    worker.fold()
    worker.cycle(0)
    again, anew = refold(world), []
    monkeypatch.setattr(again._replica, "believe_anew", lambda: anew.append(again.folded))
    monkeypatch.setattr(again._replica, "_refresh", lambda: None)
    again.until(told(world, "a")[-1])
    assert len(anew) == 1
    assert 0 < anew[0] < again.folded


def test_a_cycle_that_was_not_committed_leaves_no_hole():
    world = World()
    worker = Worker(world, "a")
    worker.fold()
    worker.cycle(0, commits=False)
    worker.fold()
    content = worker.cycle(0)
    again = refold(world)
    again.until(told(world, "a")[-1])
    assert again.assumed == 0
    assert same(again.models.snapshot(), content)


def test_runs_that_no_delta_names_are_folded_by_time_and_counted():
    world, _ = lived()
    last = told(world, "a")[-1]
    deltas = [
        replace(delta, folded=replace(delta.folded, runs=())) if n % 2 else delta
        for n, delta in enumerate(said_of(world))
    ]
    again = refold(world, deltas)
    again.until(last)
    assert again.assumed > 0
    expected = refold(world)
    expected.until(last)
    assert again.folded == expected.folded
    assert again.models.n_items == expected.models.n_items


def test_the_log_of_an_older_version_is_folded_up_to_a_time():
    world, _ = lived()
    deltas = [replace(delta, folded=UNSET) for delta in said_of(world)]
    again = refold(world, deltas)
    times = sorted(record.timestamp for record, _ in deltas_of(SETTINGS, world.shared))
    again.until_time(times[4])
    items = sum(len(log) for tp, log in world.shared.items() if tp.topic == "items")
    early = sum(record.timestamp < times[4] for record in next(v for v in world.shared.values() if v))
    assert again.assumed == again.folded
    assert early <= again.folded <= items + 4


def test_a_number_that_nobody_said_ends_the_path():
    orders = Orders(())
    assert orders.until(Folded("a", 3, ((1,), (1,)))) == []
