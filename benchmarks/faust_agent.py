"""The trivial step as an ordinary faust agent with a Table: `python -m benchmarks.faust_agent '{...}'`.

Stock: faust as its documentation sets it up, with its compiled streams and a Table on RocksDB. Tuned: the
best settings that were found besides.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, Final

import faust
import msgspec
import uvloop

from benchmarks.contenders import PeerTask
from benchmarks.payloads import slate_value

TUNED: Final[Mapping[str, Any]] = {
    "producer_linger_ms": 5,
    "producer_max_batch_size": 512 << 10,
    "stream_buffer_maxsize": 32_768,
    "stream_wait_empty": False,
    "broker_commit_interval": 1.0,
}
"""Besides uvloop."""


def build(task: PeerTask, settings: Mapping[str, Any]) -> faust.App:
    app = faust.App(
        task.group,
        broker=f"kafka://{task.broker}",
        store="rocksdb://",
        datadir=task.folder,
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        topic_partitions=task.partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        **settings,
    )
    events = app.topic(task.source, partitions=task.partitions, key_type=bytes, value_type=bytes)
    slates = app.topic(task.target, partitions=task.partitions, key_type=bytes, value_type=bytes)
    counts = app.Table(
        "counts",
        partitions=task.partitions,
        key_type=bytes,
        value_type=bytes,
        options={"driver": "rocksdict"},
    )
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    @app.agent(events)
    async def count(stream: Any) -> None:
        async for key, value in stream.items():
            event = decode(value)
            counts[key] = b"%d" % (int(counts.get(key) or 0) + 1)
            await slates.send(key=key, value=slate_value(event["event_id"]))

    return app


def main() -> None:
    task = msgspec.json.decode(sys.argv[1], type=PeerTask)
    tuned = task.variant == "tuned"
    loop = uvloop.new_event_loop() if tuned else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = build(task, TUNED if tuned else {})
    faust.Worker(app, loop=loop, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
