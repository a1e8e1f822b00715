"""Workers of several versions in one group, one after the other replaced, and the way back."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.kafka.harness import clicks, read_json, send, shop, until

RATE = 600.0
EVENTS = 7_000


def version(name: str) -> list[str]:
    """The command of a worker of another version."""
    return [sys.executable, "-m", "tests.kafka.versions", name]


@pytest.mark.timeout(600)
async def test_a_roll_over_three_versions_loses_and_repeats_nothing_and_a_version_too_new_is_refused(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    # Two partitions for each of three workers.
    async with shop(broker, prefix, tmp_path, partitions=6, session_timeout_seconds=6) as it:
        older, newer = it.start(command=version("older")), it.start(command=version("newer"))
        await it.started(seconds=150)
        sending = asyncio.create_task(send(it, clicks(EVENTS), rate=RATE))
        await asyncio.sleep(2)
        # Today's takes the place of the older one, beside the newer one.
        today = it.start()
        await it.started(seconds=150)
        older.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(older.wait, 30) == 0
        await asyncio.sleep(2)
        newer.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(newer.wait, 30) == 0
        sent = await sending + await send(it, clicks(500, seed=4))
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == sent
        assert report.profiles_compared > 200
        deltas = await read_json(it, it.settings.deltas_topic)
        told = [("of_tomorrow" in delta, "folded" in delta) for delta in deltas]
        assert set(told) == {(False, False), (True, True), (False, True)}  # all three wrote

        # A version whose profiles this one cannot read takes over; there is no way back.
        it.start(command=version("next"))
        today.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(today.wait, 30) == 0
        ahead = await send(it, clicks(200, seed=2))
        await it.settled(sent + ahead)
        it.workers[-1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(it.workers[-1].wait, 30) == 0
        back = it.start()
        await send(it, clicks(200, seed=3))
        await until(lambda: back.poll() is not None, 60, it.logs)
        assert back.returncode not in {0, -signal.SIGKILL}
        said = "cannot read a stored profile: it has version 2, this Freshslate knows version 1"
        assert said in it.log(back)
        # Of users whom the next version did not touch, events may have come first.
        assert sent + ahead <= await it.processed() < sent + 2 * ahead
