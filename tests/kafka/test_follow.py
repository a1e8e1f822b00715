"""Following a user while a real worker answers."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from state.profile import Profile
from stream.codecs import encode_marker, encode_profile
from stream.follow import follow_user
from stream.inspection import InspectionError, inspect_user, partition_of
from stream.store import MARKER
from stream.timeline import Happened, Rejected, Repeated, Started, Step, Waiting, as_json
from tests.kafka.harness import PARTITIONS, Shop, clicks, send, shop


class Followed:
    """The steps of one user, as they come."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.progress: list[str] = []
        self._came = asyncio.Event()

    def step(self, step: Step) -> None:
        self.steps.append(step)
        self._came.set()

    async def next(self, count: int = 1, *, seconds: float = 60) -> list[Step]:
        """Wait for so many steps, and take them."""
        async with asyncio.timeout(seconds):
            while len(self.steps) < count:
                self._came.clear()
                await self._came.wait()
        taken, self.steps = self.steps[:count], self.steps[count:]
        return taken

    async def event(self) -> Happened:
        (step,) = await self.next()
        assert isinstance(step, Happened), step
        return step


@contextlib.asynccontextmanager
async def following(it: Shop, user: str, **options: Any) -> AsyncIterator[Followed]:
    found = Followed()
    task = asyncio.create_task(
        follow_user(it.settings, user, on_step=found.step, on_progress=found.progress.append, **options)
    )
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def happens(user: str, kind: str, *items: str, event_id: str, **fields: Any) -> dict[str, Any]:
    wares = [{"item_id": item} for item in items]
    now = int(time.time() * 1000)
    return {"event_id": event_id, "type": kind, "user_id": user, "items": wares, "time": now, **fields}


async def test_a_user_is_followed_through_a_session_with_all_that_can_happen(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        await send(it, clicks(2_000, users=100, items=40))
        it.start()
        await it.settled(2_000)
        async with following(it, "tim") as followed:
            (start,) = await followed.next()
            assert isinstance(start, Started)
            assert start.inspection.profile is None
            assert "reading what the shared models have learned" in followed.progress[0]

            await send(it, [happens("tim", "click", "i1", event_id="e1")])
            click = await followed.event()
            assert (click.event.type, click.event.items[0].item_id) == ("click", "i1")
            assert click.state.session == "begun"
            assert (click.state.entered, click.state.counts) == (("i1",), {"click": 1})
            assert click.rewards == ()
            assert click.shown is not None
            slate = click.shown.slate
            assert slate.slate_id == f"{click.origin.topic}-{click.origin.partition}-{click.origin.offset}"
            assert len(slate.items) == 10
            assert 0 <= click.shown.took_ms < 5_000
            for item, why in zip(slate.items, click.shown.why, strict=True):
                # The models have moved on by this very click, which is a small one.
                logged = {source.name: source.score for source in item.sources}
                assert why.session_share == pytest.approx(logged.get("session_knn", 0.0), abs=0.05)
                parts = sum(rule.share for rule in why.rules)
                assert parts == pytest.approx(logged.get("sequence_rules", 0.0), abs=0.05)

            wanted = slate.items[3]
            await send(it, [happens("tim", "click", wanted.item_id, event_id="e2")])
            hit = await followed.event()
            assert hit.state.session == "continued"
            assert hit.state.session_items == 2
            (reward,) = hit.rewards
            assert (reward.slate_id, reward.position, reward.reward) == (slate.slate_id, 4, 1.0)
            assert reward.propensity == wanted.propensity
            assert hit.shown is not None
            assert wanted.item_id in hit.shown.change.left
            assert sum(hit.shown.change.count().values()) == 10 + len(hit.shown.change.left)

            await send(
                it, [happens("tim", "purchase", wanted.item_id, event_id="e3", value=9.5, currency="EUR")]
            )
            order = await followed.event()
            (reward,) = order.rewards
            assert (reward.reward, reward.value, reward.slate_id) == (5.0, 9.5, slate.slate_id)
            assert order.state.counts == {"purchase": 1}

            await send(it, [happens("tim", "dance", "i1", event_id="e4")])
            (broken,) = await followed.next()
            assert isinstance(broken, Rejected)
            assert broken.reason == "unknown_type"

            await send(it, [happens("tim", "click", "i1", event_id="e1")])
            (again,) = await followed.next()
            assert isinstance(again, Repeated)
            assert again.event.event_id == "e1"
            assert followed.steps == []


async def test_events_that_one_cycle_takes_each_have_their_own_step(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        it.start()
        await it.started()
        async with following(it, "tim") as followed:
            await followed.next()
            await send(it, [happens("tim", "view", f"i{n}", event_id=f"v{n}") for n in range(5)])
            views = [await followed.event() for _ in range(5)]
        assert [step.state.counts["view"] for step in views] == [1, 2, 3, 4, 5]
        assert [step.state.entered for step in views] == [(f"i{n}",) for n in range(5)]
        told = json.loads(json.dumps([as_json(step) for step in views]))
        assert [step["slate"]["trigger"]["event_id"] for step in told] == [f"v{n}" for n in range(5)]


async def test_following_goes_on_from_the_state_and_the_slates_that_are_there(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        sent = await send(it, clicks(1_000, users=20))
        it.start()
        await it.settled(sent)
        known = await inspect_user(it.settings, "u0", slates=2)
        async with following(it, "u0", slates=2) as followed:
            (start,) = await followed.next()
            assert isinstance(start, Started)
            assert start.inspection == known
            await send(it, [happens("u0", "search", event_id="q1", query="tent")])
            step = await followed.event()
            assert step.shown is not None
            assert not step.shown.change.is_first
            assert step.state.counts == {"search": (known.profile.counts[7] if known.profile else 0) + 1}
        found = await inspect_user(it.settings, "u0", slates=1)
        assert found.slates == (step.shown.slate,)
        assert found.profile is not None
        assert tuple(slate.slate_id for slate in found.profile.open_slates) == step.state.open_slates


async def test_several_inputs_are_followed_in_the_workers_order(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, inputs=("events", "orders")) as it:
        first, second = it.settings.input_topics
        async with following(it, "tim") as followed:
            await followed.next()
            for n in range(10):
                await send(it, [happens("tim", "click", f"i{n}", event_id=f"c{n}")], topic=first)
                await send(it, [happens("tim", "purchase", f"i{n}", event_id=f"p{n}")], topic=second)
            it.start()
            steps = [step for step in await followed.next(20) if not isinstance(step, Waiting)]
            steps += await followed.next(20 - len(steps)) if len(steps) < 20 else []
        counts: dict[str, int] = {}
        for step in steps:
            assert isinstance(step, Happened)
            counts |= step.state.counts
        found = await inspect_user(it.settings, "tim", slates=1)
        assert found.profile is not None
        assert (counts, found.profile.counts[2], found.profile.counts[5]) == (
            {"click": 10, "purchase": 10},
            10,
            10,
        )
        assert isinstance(steps[-1], Happened)
        assert steps[-1].state.open_slates == tuple(slate.slate_id for slate in found.profile.open_slates)


async def test_an_event_that_no_worker_takes_is_said_to_wait(
    broker: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.follow.WAIT_SECONDS", 0.5)
    async with shop(broker, prefix, tmp_path) as it, following(it, "tim") as followed:
        await followed.next()
        await send(it, [happens("tim", "click", "i1", event_id="e1")])
        (step,) = await followed.next()
        assert isinstance(step, Waiting)
        assert (step.awaits, step.records) == ("worker", 1)


async def test_without_topics_it_says_what_to_do(broker: str, prefix: str, tmp_path: Path) -> None:
    settings = Shop(broker, prefix, tmp_path).settings
    with pytest.raises(InspectionError, match=f"there is no topic {prefix}deltas or {prefix}events or"):
        await follow_user(settings, "tim", on_step=print)


async def write(it: Shop, partition: int, rows: dict[bytes, bytes]) -> None:
    """Rows of the changelog, as a worker leaves them."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        for key, value in rows.items():
            await producer.send_and_wait(it.settings.profiles_topic, value, key=key, partition=partition)


async def test_a_user_whom_another_partitioner_placed_is_found_where_they_are(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        elsewhere = (partition_of("tim", PARTITIONS) + 1) % PARTITIONS
        await write(it, elsewhere, {b"tim": encode_profile(Profile(session_key=5))})
        async with following(it, "tim") as followed:
            (start,) = await followed.next()
        assert isinstance(start, Started)
        assert (start.inspection.partition, start.inspection.profile) == (elsewhere, Profile(session_key=5))


async def test_a_state_that_is_ahead_of_its_input_is_an_error_that_says_so(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        marker = {MARKER + it.settings.input_topics[0].encode(): encode_marker(99, "w")}
        await write(it, partition_of("tim", PARTITIONS), marker)
        with pytest.raises(InspectionError, match="contains offsets up to 99: the topic was created again"):
            await follow_user(it.settings, "tim", on_step=print)


async def test_an_event_that_asks_for_a_slate_here_but_not_at_the_workers_goes_on_without(
    broker: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.follow.WAIT_SECONDS", 0.5)
    async with shop(broker, prefix, tmp_path) as it:
        it.start(FRESHSLATE_SLATE_TYPES="click")
        await it.started()
        async with following(it, "tim") as followed:
            await followed.next()
            await send(it, [happens("tim", "view", "i1", event_id="e1")])
            steps = await followed.next()
            steps += [] if isinstance(steps[0], Happened) else await followed.next()
        assert isinstance(steps[-1], Happened)
        assert steps[-1].is_unanswered
        assert steps[-1].state.opened == ()
