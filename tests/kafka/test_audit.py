"""The audit finds the known bugs: each is put into a real worker, and met with the fault that exposes it."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream.audit import Report
from stream.drill.team import is_frozen
from tests.kafka.harness import PARTITIONS, Shop, clicks, send, shop, until

SESSION_SECONDS = 6.0


def broken(bug: str) -> list[str]:
    """The command of a worker with this bug."""
    return [sys.executable, "-m", "tests.kafka.broken", bug]


@pytest.mark.parametrize("bug", [None, "marker"])
async def test_a_marker_that_nobody_checks_is_found_when_records_come_again(
    broker: str, prefix: str, tmp_path: Path, bug: str | None
) -> None:
    # Somebody sets the group back to the beginning: every record comes again.
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS) as it:
        command = broken(bug) if bug else None
        first = it.start(command=command)
        sent = await send(it, clicks(2_000))
        await it.settled(sent)
        first.terminate()
        assert await asyncio.to_thread(first.wait, 30) == 0
        await set_back(it)
        it.start(command=command)
        sent += await send(it, clicks(400, seed=2))
        await it.settled(sent)
        report = await it.audit()
        if bug is None:
            assert report.is_clean, report
        else:
            assert not report.is_clean
            assert report.duplicates >= 2_000


async def set_back(it: Shop) -> None:
    """Commit offset 0 for every input partition; the group must be empty."""
    topic = it.settings.input_topics[0]
    async with AIOKafkaConsumer(
        bootstrap_servers=it.settings.broker, group_id=it.settings.app_id, enable_auto_commit=False
    ) as consumer:
        tps = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer.assign(tps)
        await consumer.commit(dict.fromkeys(tps, 0))


async def frozen_at_offsets(it: Shop, bug: str | None) -> tuple[subprocess.Popen[bytes], asyncio.Task[int]]:
    """A worker that stands still between its tenth data and their offsets, and the load that goes on."""
    worker = it.start(command=broken(bug) if bug else None, FRESHSLATE_FAULT_POINT="offsets@10:stop")
    # Records that wait for a slow start would all go into fewer than ten transactions.
    await it.started()
    sending = asyncio.create_task(send(it, clicks(6_000), rate=1_000))
    await until(lambda: is_frozen(worker.pid), 60, it.logs)
    return worker, sending


@pytest.mark.parametrize("bug", [None, "refused"])
async def test_a_refused_worker_that_goes_on_is_found(
    broker: str, prefix: str, tmp_path: Path, bug: str | None
) -> None:
    # Frozen between its data and their offsets until the group has forgotten it, then awake.
    async with shop(broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS) as it:
        worker, sending = await frozen_at_offsets(it, bug)
        await asyncio.sleep(SESSION_SECONDS + 2)
        worker.send_signal(signal.SIGCONT)
        report = await finished(it, await sending, is_right=bug is None)
        if bug is not None:
            assert report.lost > 0


@pytest.mark.parametrize("bug", [None, "order"])
async def test_offsets_committed_before_the_data_are_found(
    broker: str, prefix: str, tmp_path: Path, bug: str | None
) -> None:
    # Frozen between the two while another worker takes over, in a transaction that lives long enough.
    async with shop(
        broker, prefix, tmp_path, session_timeout_seconds=SESSION_SECONDS, transaction_timeout_seconds=60
    ) as it:
        worker, sending = await frozen_at_offsets(it, bug)
        heir = it.start()
        await until(lambda: "opened partitions" in it.log(heir), 60, it.logs)
        await asyncio.sleep(2)
        worker.send_signal(signal.SIGCONT)
        report = await finished(it, await sending, is_right=bug is None)
        if bug is not None:
            assert report.duplicates > 0


@pytest.mark.parametrize("bug", ["dropped", "gap"])
async def test_a_gap_that_nobody_checks_is_found(broker: str, prefix: str, tmp_path: Path, bug: str) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        it.start(command=broken(bug))
        report = await finished(it, await send(it, clicks(4_000), rate=1_000), is_right=bug == "dropped")
        if bug == "gap":
            assert report.lost > 0
        else:
            assert "reading again" in it.logs()


async def finished(it: Shop, sent: int, *, is_right: bool) -> Report:
    """Wait until a right worker is done, or until a wrong one can do no more; then audit."""
    if is_right:
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        return report
    before = -1
    while (now := await it.processed()) != before or now == 0:
        before = now
        await asyncio.sleep(3)
    report = await it.audit()
    assert not report.is_clean, report
    return report
