"""A worker that is told to stop ends, though its broker is silent; and the next one has lost nothing."""

import asyncio
import os
import signal
from pathlib import Path

from stream.broker import Broker
from stream.stopping import GAVE_UP
from tests.kafka.harness import clicks, send, shop


async def test_a_worker_told_to_stop_while_the_broker_is_frozen_ends_and_nothing_is_lost(
    tmp_path: Path, prefix: str
) -> None:
    with Broker.start() as broker:
        async with shop(broker.address, prefix, tmp_path, stop_seconds=3.0) as it:
            worker = it.start()
            await it.started()
            sent = await send(it, clicks(2_000))
            await it.settled(sent)
            sent += await send(it, clicks(2_000, seed=2))
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                worker.terminate()
                assert await asyncio.to_thread(worker.wait, 60) == GAVE_UP
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            log = it.log(worker)
            assert "stop given up after 3 s" in log.splitlines()[-1]
            assert log.index("Signal received: 15") < log.index("stop given up")
            assert "Traceback" not in log

            again = it.start()
            await it.settled(sent)
            report = await it.audit()
            assert report.is_clean, report
            again.terminate()
            assert await asyncio.to_thread(again.wait, 60) == 0
            assert "stop given up" not in it.log(again)
