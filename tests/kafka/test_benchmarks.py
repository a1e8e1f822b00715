"""The benchmarks measure what they say, on the real broker: one short run, whose numbers mean nothing."""

from benchmarks.latency import Bench
from benchmarks.processes import Node


async def test_every_event_of_a_run_gets_its_slate_and_its_latency(broker, tmp_path):
    bench = Bench(Node(broker, None), tmp_path, seconds=1.0, warm_up=0.5)
    try:
        await bench.start(["txn_echo", "exactly_once"])
        runs = [await bench.measure(name, 200.0, 1) for name in ("txn_echo", "exactly_once")]
    finally:
        await bench.stop()
    for run in runs:
        assert run.missing == 0
        assert 150 < run.events <= 201
        assert 0 < run.percentiles[0] <= run.percentiles[-1] <= run.worst
