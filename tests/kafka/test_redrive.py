"""Dead letters sent again on a real broker to a real worker: each once, whatever dies in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from agents import commands
from stream.codecs import decode_slate
from stream.dead_letter import REDRIVEN
from stream.letters import DeadLetterError, Filter, Found, Letter, collected, find
from stream.reading import read_topic
from stream.redrive import Run, Times, judge, parted
from stream.worker import event_rules
from tests.kafka.harness import ROOT, Shop, shop, until

AHEAD_SECONDS = 6
"""How far ahead of its record an event is that waits for its time; the worker takes 2."""
KILLED = """
import os, signal, sys
from stream import redrive
commits = []

class Dying(redrive.AIOKafkaProducer):
    async def commit_transaction(self):
        commits.append(1)
        if len(commits) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        await super().commit_transaction()

redrive.AIOKafkaProducer, redrive.MOST_LETTERS = Dying, 5
from agents.commands import main
sys.argv[0] = "freshslate"
main()
"""


def variables(it: Shop) -> dict[str, str]:
    return {
        f"FRESHSLATE_{name.upper()}": str(value)
        for name, value in it.settings.model_dump(exclude_unset=True).items()
    } | {"COLUMNS": "200"}


def command(it: Shop, *arguments: str, script: str = "") -> "subprocess.CompletedProcess[str]":
    """A command as a process of its own."""
    how = ["-c", script] if script else ["-m", "agents.commands"]
    return subprocess.run(
        [sys.executable, *how, "dlq", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables(it)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def said(it: Shop, *arguments: str) -> str:
    """What a command prints that changes nothing; in this process, which is faster."""
    made = await asyncio.to_thread(
        CliRunner().invoke, commands.app, ["dlq", *arguments], env=variables(it), catch_exceptions=False
    )
    return str(made.stdout)


async def put(it: Shop, *records: tuple[int, bytes | None]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        for partition, value in records:
            await producer.send_and_wait(
                it.settings.input_topics[0],
                value,
                key=b"u%d" % partition,
                partition=partition,
                headers=[("trace", b"42")],
            )


def event(name: str, partition: int, ahead_seconds: float = 0) -> tuple[int, bytes]:
    fields = {"event_id": name, "type": "click", "user_id": f"u{partition}", "item_id": f"i{partition}"}
    return partition, json.dumps(fields | {"time": int((time.time() + ahead_seconds) * 1000)}).encode()


async def waiting(it: Shop, times: Times = "keep", **which: Any) -> Found:
    rules = event_rules(it.settings)
    return await find(it.settings, Filter(**which), judge=judge(it.settings, rules, times))


async def redrive(it: Shop, times: Times, *, every: bool = False) -> int:
    async with Run(it.settings) as run:
        ids, _ = parted(await waiting(it, times), every=every)
        return await run.redrive(ids, rate=10_000, times=times)


async def sent_again(it: Shop) -> list[str]:
    """Event ids of the records that were redriven, as far as committed."""
    return [
        json.loads(record.value or b"")["event_id"]
        async for record in read_topic(it.settings.broker, it.settings.input_topics[0])
        if record.headers and record.headers[-1][0] == REDRIVEN
    ]


async def answered(it: Shop) -> list[str]:
    """Event ids of all slates."""
    topic = it.settings.slates_topic
    slates = [
        decode_slate(record.value) async for record in read_topic(it.settings.broker, topic) if record.value
    ]
    return sorted(slate.trigger.event_id for slate in slates)


async def refused(it: Shop) -> int:
    """Send 12 events that are ahead of their time, 2 that stay so, 2 that are none and 4 good ones."""
    soon = [event(f"soon-{n}", n % 4, AHEAD_SECONDS) for n in range(12)]
    far = [event(f"far-{n}", n, 3600) for n in range(2)]
    good = [event(f"good-{n}", n) for n in range(4)]
    records = [*soon, *far, (0, b"\x1b[2J{"), (3, None), *good]
    await put(it, *records)
    return len(records)


async def test_letters_are_sent_again_once_through_kills_and_rivals_and_the_audit_is_clean(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    limits = {"max_event_ahead_seconds": 2, "dead_letter_share": 1.0}
    async with shop(broker, prefix, tmp_path, **limits) as it:
        worker = it.start()
        count = await refused(it)
        ready = time.time() + AHEAD_SECONDS
        await it.settled(count)
        listed = json.loads(await said(it, "list", "--json"))
        told = {(each["reason"], each["letters"]) for each in listed["counts"]}
        assert told == {("time_in_future", 14), ("not_json", 1), ("null_value", 1)}
        assert {tuple(map(tuple, each["headers"])) for each in listed["letters"]} == {(("trace", "42"),)}
        await until(lambda: time.time() > ready, 30, lambda: "the time has come")

        killed = await asyncio.to_thread(command, it, "redrive", "--times", "now", script=KILLED)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        first = await sent_again(it)
        assert len(first) == 5
        assert await redrive(it, "now") == 7
        again = command(it, "redrive", "--times", "now", "--json")
        assert json.loads(again.stdout)["letters"] == 0, again.stderr
        assert sorted(await sent_again(it)) == sorted(f"soon-{n}" for n in range(12))

        await check_rivals(it)
        letters = await check_a_second_failure(it, count)
        assert "\x1b" not in (shown := await said(it, "show", *(each.name for each in letters)))
        assert r"\x1b[2J" in shown
        await check_dropping(it)
        report = await it.audit()
        assert report.is_clean, report
        assert report.dead_letters == 18
        done = sorted([*(f"soon-{n}" for n in range(12)), *(f"good-{n}" for n in range(4))])
        assert await answered(it) == done

        worker.terminate()
        assert await asyncio.to_thread(worker.wait, 30) == 0
        it.settings = it.settings.model_copy(update={"max_event_ahead_seconds": 7200})
        it.start()
        assert await redrive(it, "keep") == 2
        await it.settled(count + 12 + 2 + 2)
        assert await answered(it) == sorted([*done, "far-0", "far-1"])
        assert (await waiting(it)).ids == []


async def check_rivals(it: Shop) -> None:
    """Of two runs the later one goes on, and the earlier one can do nothing any more."""
    async with Run(it.settings) as earlier:
        ids = (await waiting(it)).ids
        async with Run(it.settings):
            with pytest.raises(DeadLetterError, match="another redrive or drop has begun"):
                await earlier.redrive(ids, rate=1000, times="keep")
    assert len(await sent_again(it)) == 12


async def check_a_second_failure(it: Shop, count: int) -> list[Letter]:
    """Sent again in vain, a letter is a new one that names the first; returns those that are no events."""
    found = await waiting(it, reasons=frozenset({"time_in_future"}))
    before = {letter.value: letter for letter in await collected(it.settings, found.ids)}
    async with Run(it.settings) as run:
        assert await run.redrive(found.ids, rate=1000, times="keep") == 2
    await it.settled(count + 12 + 2)
    after = await collected(it.settings, (await waiting(it, reasons=frozenset({"time_in_future"}))).ids)
    assert {letter.value for letter in after} == before.keys()
    for letter in after:
        was = before[letter.value]
        assert letter.attempt == 2
        assert (letter.said["dlq.first.topic"], letter.said["dlq.first.offset"]) == (
            was.topic,
            str(was.source_offset),
        )
        assert letter.record_time == was.record_time
        assert letter.source_offset > was.source_offset
        assert letter.headers[0] == ("trace", b"42")
    return await collected(it.settings, (await waiting(it, reasons=frozenset({"not_json"}))).ids)


async def check_dropping(it: Shop) -> None:
    """What is dropped waits no more, and is asked for first."""
    kinds = ["--reason", "not_json", "--reason", "null_value"]
    assert "2 dropped" not in await said(it, "drop", *kinds)  # nobody is there to say yes
    assert json.loads(await said(it, "drop", *kinds, "--dry-run", "--json"))["letters"] == 2
    assert command(it, "drop", *kinds, "--yes").stdout.endswith("2 dropped\n")
    left = await waiting(it)
    assert {kind.reason for kind in left.kinds} == {"time_in_future"}
    assert left.dealt == {"redriven": 14, "dropped": 2}
