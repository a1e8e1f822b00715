"""Slates of real workers, decided again from the log: the same bit for bit."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import UNSET

from state.slates import Slates
from stream.codecs import encode_slate
from stream.event_file import EventFile
from stream.plugins import plugged_sources
from stream.reading import read_topic
from stream.refold import Orders, Refold, deltas_of, read_shared
from stream.replay import replay
from stream.user_history import fold_user
from stream.worker import recommender
from stream.worker_metrics import WorkerMetrics
from tests.kafka.harness import ROOT, Shop, clicks, read_json, send, shop, until
from tests.kafka.test_taobao import STREAM

SLICE = 20_000


async def slates_again(it: Shop) -> Counter[str]:
    """Decide every slate of the log again, in the order in which each worker did."""
    settings = it.settings
    shared = await read_shared(settings)
    deltas = list(deltas_of(settings, shared))
    orders = Orders(delta for _, delta in deltas)
    published = {
        json.loads(record.value)["slate_id"]: record.value
        async for record in read_topic(settings.broker, settings.slates_topic)
        if record.value
    }
    inputs: dict[tuple[int, str], dict[str, list[Any]]] = {}
    for topic in settings.input_topics:
        async for record in read_topic(settings.broker, topic):
            key = record.key.decode()
            inputs.setdefault((record.partition, key), {}).setdefault(topic, []).append(record)
    by_cycle: dict[int, list[Any]] = {}
    numbers = {id(delta): n for n, (_, delta) in enumerate(deltas)}
    of_partition = {
        number: [pair for pair in deltas if pair[1].partition == number]
        for number in range(settings.partitions)
    }
    for (partition, key), its in inputs.items():
        history = fold_user(settings, key, its, of_partition[partition], published, 1 << 60)
        for slate_id, decided in history.decided.items():
            by_cycle.setdefault(numbers[id(decided.delta)], []).append((slate_id, decided.asked))
    found: Counter[str] = Counter()
    believed: set[int] = set()
    workers: dict[str, Any] = {}
    order = sorted(
        (delta.folded.worker, delta.folded.number, n)
        for n, (_, delta) in enumerate(deltas)
        if delta.folded is not UNSET
    )
    for worker, _, n in order:
        if worker not in workers:
            plugged = plugged_sources(settings.sources, WorkerMetrics())
            refold = Refold(settings, shared, orders, plugged=plugged)
            workers[worker] = refold, recommender(settings, refold.models, plugged)
        refold, decide = workers[worker]
        refold.until(deltas[n][1].folded)
        decide.beliefs = refold.beliefs
        for slate_id, asked in by_cycle.get(n, ()):
            again = encode_slate(Slates.of(decide([asked])).wire[0])
            found["same" if again == published[slate_id] else "other"] += 1
            found["heartbeats"] += asked[1].event.is_heartbeat
        found[f"assumed {worker}"] = refold.assumed
        believed.add(refold.beliefs.version)
    found["beliefs"] = len(believed)
    return found


def environment(it: Shop) -> dict[str, str]:
    """What a command needs to find this test's topics."""
    variables = {
        f"FRESHSLATE_{name.upper()}": str(value)
        for name, value in it.settings.model_dump(exclude_unset=True).items()
    }
    return {**os.environ, **variables, "COLUMNS": "200"}


def command(it: Shop, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "agents.commands", *arguments],
        cwd=ROOT,
        env=environment(it),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def background(it: Shop, *arguments: str, printed: Path | None = None) -> "subprocess.Popen[bytes]":
    """Start a command."""
    with (printed or Path(os.devnull)).open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "agents.commands", *arguments],
            cwd=ROOT,
            env=environment(it),
            stdout=out,
            stderr=out,
        )


async def test_every_slate_of_two_workers_is_decided_again_bit_for_bit(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, snapshot_seconds=2, canary_seconds=0.5) as it:
        it.start()
        it.start()
        await it.started()
        if STREAM.exists():
            sent = (await replay(it.settings, EventFile(STREAM, "taobao", limit=SLICE))).sent
        else:
            sent = await send(it, clicks(SLICE))
        await it.settled(sent)
        found = await slates_again(it)
        print(found)
        assert found["other"] == 0, found
        assert found["heartbeats"] > 0
        assert found["same"] > 0.9 * sent


async def test_the_command_rebuilds_a_user_and_says_what_is_wrong(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    learning = {"policy": "linear_ts", "maturity_seconds": 1, "learning_bucket_seconds": 1}
    async with shop(broker, prefix, tmp_path, snapshot_seconds=1, **learning) as it:
        first = it.start()
        await it.started()
        await send(it, clicks(2_000, seed=1), rate=400)
        await it.settled(2_000)
        first.kill()  # the next one begins with its snapshot, and a tail
        first.wait()
        it.start()
        await until(lambda: "opened partitions" in it.log(it.workers[-1]), 60, it.logs)
        await send(it, clicks(2_000, seed=2))
        await it.settled(4_000)
        found = await slates_again(it)
        assert found["other"] == 0, found
        assert found["same"] > 3_000
        assert found["beliefs"] > 2, "a policy that learns has to be decided again with what it believed"
        slates = [slate for slate in await read_json(it, it.settings.slates_topic) if slate["items"]]
        slate = slates[-1]
        arguments = ("replay-state", "--user", slate["user_id"], "--at")
        told = command(it, *arguments, str(slate["time"]))
        assert told.returncode == 0, told.stdout + told.stderr
        assert "the same bit for bit" in told.stdout
        past = json.loads(command(it, *arguments, str(slate["time"]), "--json").stdout)
        assert past["again"] == past["slate"]
        assert past["assumed_order"] == 0
        assert {part["name"]: part["same"] for part in past["parts"]} | {"profile": True} == {
            "profile": True,
            "policy": True,
            "seed": True,
            "candidates_hash": True,
            "items": True,
            "scores": True,
            "propensities": True,
            "record": True,
        }
        now = json.loads(command(it, *arguments, "2099-01-01", "--json").stdout)
        assert next(part["same"] for part in now["parts"] if part["name"] == "profile") is True

        early = command(it, *arguments, "2020-01-01")
        assert early.returncode == 1
        assert "is before the log" in early.stderr
        unknown = command(it, "replay-state", "--user", "nobody", "--at", "2099-01-01")
        assert unknown.returncode == 1
        assert "no event of 'nobody'" in unknown.stderr
        it.settings = it.settings.model_copy(update={"policy": "greedy"})
        it.settings.model_fields_set.add("policy")
        other = command(it, *arguments, str(slate["time"]))
        assert other.returncode == 1
        assert "another policy is configured now" in other.stdout
