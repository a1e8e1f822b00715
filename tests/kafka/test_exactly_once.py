"""Nothing lost, nothing twice, whatever happens to the worker processes."""

import asyncio
import signal
from pathlib import Path

from tests.kafka.harness import clicks, send, shop


async def test_a_worker_killed_during_a_replay_costs_and_repeats_nothing(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=6) as it:
        first, _ = it.start(), it.start()
        await it.started()
        sending = asyncio.create_task(send(it, clicks(24_000), rate=2_000))
        await asyncio.sleep(3)
        first.send_signal(signal.SIGKILL)
        await asyncio.sleep(2)
        it.start()
        await it.settled(await sending)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == 24_000
        assert report.slates > 20_000
        assert report.duplicate_events > 0
        assert report.dead_letters > 0
        assert report.profiles_compared > 250


async def test_a_frozen_worker_that_wakes_up_as_a_zombie_is_refused(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=6) as it:
        frozen, _ = it.start(), it.start()
        await it.started()
        sending = asyncio.create_task(send(it, clicks(30_000), rate=1_500))
        await asyncio.sleep(3)
        frozen.send_signal(signal.SIGSTOP)
        await asyncio.sleep(9)
        frozen.send_signal(signal.SIGCONT)
        await it.settled(await sending)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == 30_000
        assert frozen.poll() is None
        assert "assignment ended" in it.log(frozen) or "Heartbeat failed" in it.log(frozen)
