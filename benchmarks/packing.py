"""What packing (FRESHSLATE_KAFKA_COMPRESSION) saves and costs, on what a worker writes for real events.

No broker: the worker's own batches, one per topic and cycle, built and read back.
"""

import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from rich.console import Console

from benchmarks.inputs import DATA, Input, deltas_of, inputs
from benchmarks.stages import TOPIC, Bench, records
from stream.config import Settings
from stream.connection import COMPRESSIONS
from stream.transaction import MAX_BATCH_BYTES, Rows
from stream.work import work
from stream.worker import warm

CYCLES: Final = (1, 20, 200)
"""Events of one partition in one cycle: at rest, under some load, under all of it."""
EVENTS: Final = 4000


def written(given: Input, cycle: int) -> dict[str, list[Rows]]:
    """What is written for the first round, by topic, a run of rows for each cycle."""
    settings = Settings()
    warm(settings)
    found: dict[str, list[Rows]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        bench = Bench(settings, Path(folder))
        bench.models.learn(deltas_of(given.history))
        bench.run(records(given.warm_up, 0))
        run = records(given.rounds[0], len(given.warm_up))
        for at in range(0, len(run), cycle):
            result = work(0, {TOPIC: run[at : at + cycle]}, bench.store, bench.engine)
            bench.position += len(result.changelog)
            bench.store.apply(result.changelog, result.markers, bench.position)
            found["slates"].append(result.slates)
            found["profiles"].append([(key, value, []) for key, value in result.changelog])
            found["deltas"].append(result.deltas)
        bench.store.close()
    return found


def packed(rows: Rows, kind: int) -> bytes:
    """One batch."""
    batch = BatchBuilder(MAX_BATCH_BYTES, kind, is_transactional=True)
    for key, value, headers in rows:
        batch.append(timestamp=None, key=key, value=value, headers=list(headers))
    batch.close()
    return bytes(batch._build())


def main() -> None:
    """Print a table: bytes an event, and microseconds an event to pack and to unpack."""
    out = Console()
    (given,) = inputs(DATA, ["taobao"], events=EVENTS, warm_up=EVENTS, rounds=1)
    for cycle in CYCLES:
        for topic, runs in written(given, cycle).items():
            for name, kind in COMPRESSIONS.items():
                started = time.process_time()
                batches = [packed(rows, kind) for rows in runs if rows]
                between = time.process_time()
                for batch in batches:
                    for _ in DefaultRecordBatch(batch):
                        pass
                ended = time.process_time()
                out.print(
                    f"| {cycle} | {topic} | {name} | {sum(map(len, batches)) / EVENTS:,.0f} "
                    f"| {1e6 * (between - started) / EVENTS:.1f} | {1e6 * (ended - between) / EVENTS:.1f} |"
                )


if __name__ == "__main__":
    main()
