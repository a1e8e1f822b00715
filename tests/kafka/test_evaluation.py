"""The live engine and its evaluation are one: the same log gives the same lists, item for item."""

import gzip
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from state.evaluation.contenders import Engine
from state.evaluation.protocols import prequential, run
from state.event import Event, EventItem
from state.models import Models
from state.recommend import candidates_hash
from stream.config import Settings
from stream.reading import read_topic
from stream.worker import model_config, recommend_rules, step_rules
from tests.kafka.harness import Shop, read_json, send, shop
from tests.state.evaluation import logs

WEEK = Path(__file__).parents[2].parent / "shared" / "data" / "diginetica_stream" / "period_16.txt.gz"
WARM = 800
"""Events learned before the first query."""
BATCH = 50
BATCHES = 6
ADDRESS = re.compile(r"pages at (http://\S+)")


def diginetica() -> list[tuple[str, str]]:
    """Session and item of the first clicks of the test week."""
    if not WEEK.exists():
        pytest.skip(f"NOT CHECKED: the live engine against its evaluation on Diginetica, for want of {WEEK}")
    with gzip.open(WEEK, "rt") as file:
        return [tuple(line.split()) for line, _ in zip(file, range(20_000), strict=False)]


def made_up() -> list[tuple[str, str]]:
    """The same from a small random shop, whose sessions take turns."""
    events = logs.shop(9, sessions=700, items=80)
    numbered = sorted(
        enumerate(events), key=lambda each: (int(each[1].user_id[1:]) // 100, each[0] * 7919 % 997)
    )
    return [(event.user_id, event.items[0].item_id) for _, event in numbered]


def slice_of(pairs: Sequence[tuple[str, str]]) -> list[Event]:
    """Warm-up and batches of clicks, no user twice in a batch, ending now: workers refuse what is old."""
    chosen: list[tuple[str, str]] = []
    batch: set[str] = set()
    for session, item in pairs:
        if len(chosen) >= WARM:
            if (len(chosen) - WARM) % BATCH == 0:
                batch.clear()
            if session in batch:
                continue
            batch.add(session)
        chosen.append((session, item))
        if len(chosen) == WARM + BATCH * BATCHES:
            break
    now = int(time.time() * 1000)
    return [
        Event(
            event_id=f"e{n}",
            type="click",
            user_id=f"u{session}",
            session_id=session,
            time=now - 1_000 * (len(chosen) - n),
            items=(EventItem(item),),
        )
        for n, (session, item) in enumerate(chosen)
    ]


def wire(event: Event, **changes: Any) -> dict[str, Any]:
    fields = {"event_id": event.event_id, "type": "click", "item_id": event.items[0].item_id, **changes}
    own = {"user_id": event.user_id, "session_id": event.session_id, "time": event.time}
    return {name: value for name, value in (own | fields).items() if value is not None}


def evaluated(events: Sequence[Event], settings: Settings) -> dict[str, tuple[list[str], str]]:
    """List and hash of the candidates by event, of the prequential protocol in this process."""
    hashes: list[str] = []

    def witness(models: Models, queries, ranked):
        for row in range(len(queries)):
            names = [models.item_ids[item] for item in ranked.of(row).items]
            hashes.append(candidates_hash("\n".join(names).encode()))
        return ranked

    marked = [(event, n >= WARM) for n, event in enumerate(events)]
    questions = prequential(marked, step_rules(settings).session, recommend_rules(settings), batch=BATCH)
    lists = run(questions, Engine(model_config(settings), rerank=witness))
    log = questions.log
    asked = log.event[questions.by_session[questions.start]]
    return {
        events[event].event_id: ([log.names[number] for number in row if number >= 0], digest)
        for event, row, digest in zip(asked, lists, hashes, strict=True)
    }


async def folded(it: Shop, worker: subprocess.Popen[bytes]) -> None:
    """Wait until the worker's models hold every delta."""
    deltas = len([record async for record in read_topic(it.settings.broker, it.settings.deltas_topic)])
    found = ADDRESS.search(it.log(worker))
    assert found is not None
    deadline = time.monotonic() + 30
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{found[1]}/metrics") as response:
                families = text_string_to_metric_families(await response.text())
            records = [f for f in families if f.name == "freshslate_replica_records"]
            if sum(sample.value for family in records for sample in family.samples) >= deltas:
                return
            assert time.monotonic() < deadline, it.logs()[-4000:]


@pytest.mark.parametrize(
    "pairs", [pytest.param(diginetica, marks=pytest.mark.data), made_up], ids=["diginetica", "made up"]
)
async def test_workers_publish_the_lists_that_the_evaluation_judges(
    broker: str, prefix: str, tmp_path: Path, pairs
) -> None:
    events = slice_of(pairs())
    settings = {"partitions": 1, "slate_size": 20, "policy": "epsilon_greedy", "epsilon": 1e-6}
    async with shop(broker, prefix, tmp_path, worker_port=0, **settings) as it:
        worker = it.start()
        await it.started()
        sent = await send(it, [wire(event) for event in events[:WARM]])
        await it.settled(sent)
        await folded(it, worker)
        for first in range(WARM, len(events), BATCH):
            batch = events[first : first + BATCH]
            # What a shopper sees right before the event: the answer to a search at its time.
            asks = [
                wire(event, event_id=f"ask-{event.event_id}", type="search", item_id=None) for event in batch
            ]
            sent += await send(it, asks)
            await it.settled(sent)
            sent += await send(it, [wire(event) for event in batch])
            await it.settled(sent)
            await folded(it, worker)
        slates = {
            slate["trigger"]["event_id"]: slate for slate in await read_json(it, it.settings.slates_topic)
        }
        expected = evaluated(events, it.settings)
    assert len(expected) > BATCH * BATCHES // 3
    best = 0
    for event_id, (names, digest) in expected.items():
        slate = slates[f"ask-{event_id}"]
        assert slate["candidates_hash"] == digest
        # The policy explores once in a million draws; then a slate is not its candidates' best.
        if all(item["propensity"] > 0.5 for item in slate["items"]):
            best += 1
            assert [item["item_id"] for item in slate["items"]] == names
    assert best >= len(expected) - 2
