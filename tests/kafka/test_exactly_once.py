"""Nothing lost, nothing twice, whatever happens to the worker processes."""

import asyncio
import shutil
import signal
from pathlib import Path

from stream.codecs import decode_slate
from stream.reading import read_topic
from tests.kafka.harness import clicks, send, shop, until

SESSION_SECONDS = 6.0


async def test_a_worker_killed_during_a_replay_costs_and_repeats_nothing(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS) as it:
        first, _ = it.start(), it.start()
        await it.started()
        sending = asyncio.create_task(send(it, clicks(18_000), rate=2_000))
        await asyncio.sleep(2)
        first.send_signal(signal.SIGKILL)
        await asyncio.sleep(1)
        it.start()
        await it.settled(await sending)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == 18_000
        assert report.slates > 15_000
        assert report.duplicate_events > 0
        assert report.dead_letters > 0
        assert report.profiles_compared > 250


async def test_a_frozen_worker_that_wakes_up_as_a_zombie_is_refused(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS) as it:
        frozen, _ = it.start(), it.start()
        await it.started()
        sending = asyncio.create_task(send(it, clicks(18_000), rate=1_500))
        await asyncio.sleep(2)
        frozen.send_signal(signal.SIGSTOP)
        await asyncio.sleep(SESSION_SECONDS + 3)
        frozen.send_signal(signal.SIGCONT)
        await it.settled(await sending)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == 18_000
        assert frozen.poll() is None
        assert "assignment ended" in it.log(frozen) or "Heartbeat failed" in it.log(frozen)


async def test_a_pause_longer_than_the_transaction_but_shorter_than_the_session_costs_nothing(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    # The worker is still a member with a valid generation, but its transaction was ended by the
    # broker: it has to begin a new assignment by itself.
    async with shop(
        broker, prefix, tmp_path, session_timeout_seconds=15, transaction_timeout_seconds=1
    ) as it:
        worker = it.start()
        await it.started()
        sending = asyncio.create_task(send(it, clicks(12_000), rate=1_500))
        for _ in range(3):
            await asyncio.sleep(0.5)
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(2.5)
            worker.send_signal(signal.SIGCONT)
        await it.settled(await sending)
        report = await it.audit()
        assert report.is_clean, report
        assert worker.poll() is None


async def test_workers_that_come_and_go_under_load_cost_and_repeat_nothing(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS) as it:
        first = it.start()
        await it.started()
        sending = asyncio.create_task(send(it, clicks(16_000), rate=1_500))
        second = it.start()
        await it.started()
        await asyncio.sleep(2)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 20) == 0
        await it.settled(await sending)
        report = await it.audit()
        assert report.is_clean, report
        assert "Leaving" in it.log(first) or "LeaveGroup request succeeded" in it.log(first)
        assert second.poll() is None


async def test_a_worker_that_lost_its_disk_restores_all_of_it_from_the_changelog(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS) as it:
        worker = it.start()
        await it.started()
        sent = await send(it, clicks(4_000))
        await it.settled(sent)
        worker.kill()
        worker.wait()
        shutil.rmtree(it.settings.data_dir)
        again = it.start()
        sent += await send(it, clicks(4_000, seed=9))
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        assert "restored 0 changelog records" not in it.log(again)


async def test_at_least_once_keeps_the_state_exact_and_repeats_only_identical_slates(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(
        broker,
        prefix,
        tmp_path,
        session_timeout_seconds=SESSION_SECONDS,
        processing_guarantee="at_least_once",
    ) as it:
        sending = asyncio.create_task(send(it, clicks(12_000), rate=1_500))
        for _ in range(3):
            worker = it.start()
            await until(lambda worker=worker: "opened partitions" in it.log(worker), 60, it.logs)
            await asyncio.sleep(1)
            worker.kill()
            worker.wait()
        it.start()
        await it.settled(await sending)
        report = await it.audit()
        assert report.lost == 0, report
        assert report.profiles_different == 0, report
        slates: dict[str, set[bytes]] = {}
        async for record in read_topic(broker, it.settings.slates_topic):
            slate = decode_slate(record.value or b"")
            slates.setdefault(slate.slate_id, set()).add(record.value or b"")
        assert len(slates) == report.slates
        assert all(len(versions) == 1 for versions in slates.values())
