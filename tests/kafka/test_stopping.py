"""A worker that is told to stop ends, though its broker is silent; and the next one has lost nothing."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

from stream.broker import Broker
from stream.stopping import GAVE_UP
from tests.kafka.harness import Shop, clicks, send, shop


async def test_a_worker_told_to_stop_while_the_broker_is_frozen_ends_and_nothing_is_lost(
    tmp_path: Path, prefix: str
) -> None:
    kafka, copy = tmp_path / "kafka", tmp_path / "copy"
    t = time.monotonic()
    with Broker.start(kafka) as broker:
        async with shop(broker.address, prefix, tmp_path, stop_seconds=4.0, snapshot_seconds=0.5) as it:
            worker = it.start()
            await it.started(seconds=240)
            sent = await send(it, clicks(2_000))
            await it.settled(sent)
            sent += await send(it, clicks(2_000, seed=2))
            os.kill(broker.pid, signal.SIGSTOP)
            t1 = time.monotonic()
            worker.terminate()
            shutil.copytree(kafka, copy)
            code = await asyncio.to_thread(worker.wait, 90)
            print("ended", code, time.monotonic() - t1)
            print(it.log(worker))
            os.kill(broker.pid, signal.SIGCONT)
            assert code == GAVE_UP
            again = it.start()
            await it.settled(sent)
            report = await it.audit()
            assert report.is_clean, report
            again.terminate()
            assert await asyncio.to_thread(again.wait, 60) == 0
            print(it.log(again))
    print("first part", time.monotonic() - t)
    with Broker.start(copy) as restored:
        it = Shop(restored.address, prefix, tmp_path)
        it.workers = [worker, again]
        third = it.start()
        try:
            await asyncio.sleep(10)
            print("LATER", third.poll(), it.log(third))
        finally:
            third.kill()
        shutil.rmtree(it.settings.data_dir)
        third = it.start()
        try:
            await it.settled(sent)
            report = await it.audit()
            assert report.is_clean, report
            assert report.records == sent
        finally:
            third.kill()
            print(it.log(third))
    print("all", time.monotonic() - t)
