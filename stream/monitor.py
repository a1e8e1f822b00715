"""The monitor's process: follows `slates`, `rewards` and `deltas`, and serves what `Monitor` makes of them.

It belongs to no consumer group and keeps nothing on disk: a start reads the last part of the log again, which
brings the gauges back; counters begin at 0, as Prometheus expects of a restart. Any number may run.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import UNSET, Struct, UnsetType

from state.errors import UnreadableState
from state.monitoring import Monitor, ShownSlate
from state.slate import Exposures, Reward
from stream.codecs import decode_reward
from stream.config import Settings
from stream.connection import arguments, connection
from stream.metrics import Metrics
from stream.monitor_metrics import MONITOR_METRICS, show
from stream.reading import is_heartbeat
from stream.times import format_iso, now_ms
from stream.web import exposition, listen

log = logging.getLogger(__name__)

_POLL_MS: Final = 500
_POLL_RECORDS: Final = 500
"""Read at once: short enough that a scrape need not wait."""


class _Taught(Struct, frozen=True, gc=False):
    """What the monitor reads of a delta."""

    exposures: Exposures | UnsetType = UNSET


Answer = TypeVar("Answer")

_SLATE: Final = msgspec.json.Decoder(ShownSlate)
_DELTA: Final = msgspec.json.Decoder(_Taught)


class MonitorProcess:
    """Reads the log from some time back, then follows it.

    Args:
        settings: Of the workers.
        since_ms: How far back it begins.
    """

    def __init__(self, settings: Settings, since_ms: int) -> None:
        self._settings = settings
        self._since_ms = since_ms
        self.monitor = Monitor(
            wait_ms=settings.monitor_wait_seconds * 1000, most_waiting=settings.monitor_slates
        )
        self.metrics = Metrics(MONITOR_METRICS)
        self.metrics.before_scrape(self._look)
        self.watermark = 0
        """Event time up to which everything was read, epoch milliseconds."""
        self._latest: dict[TopicPartition, int] = {}
        """Time of the latest record, by partition."""
        self._behind: dict[TopicPartition, int] = {}
        """Offsets that are not read yet."""

    async def run(self) -> None:
        """Follow the log and serve the pages, for ever.

        Raises:
            aiokafka.errors.KafkaError: The broker does not answer.
            StopWorker: No port is free.
        """
        consumer = AIOKafkaConsumer(
            **arguments(connection(self._settings)),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        pages = await self._serve()
        try:
            async with consumer:
                ends = await self._assign(consumer)
                while True:
                    fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
                    self._behind = {tp: await _left(consumer, tp, end) for tp, end in ends.items()}
                    self.take(fetched)
                    await asyncio.sleep(0)
        finally:
            await pages.cleanup()

    def take(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Take records, slates before what answers them, and count the slates whose wait is over."""
        settings = self._settings
        for topic, fold in (
            (settings.slates_topic, self._slates),
            (settings.deltas_topic, self._deltas),
            (settings.rewards_topic, self._rewards),
        ):
            for tp, found in fetched.items():
                # A heartbeat says nothing of how far shoppers' time has come.
                records = [record for record in found if not is_heartbeat(record)]
                if tp.topic == topic and records:
                    # A delta has no time of its own; its record is written with the slates of its cycle.
                    times = fold(r.value for r in records if r.value is not None) or [records[-1].timestamp]
                    self._latest[tp] = max(self._latest.get(tp, 0), *times)
        self._advance()

    def _slates(self, values: Iterable[bytes]) -> list[int]:
        slates = _decoded(_SLATE, values, "slate")
        for slate in slates:
            self.monitor.publish(slate)
        return [slate.time for slate in slates]

    def _deltas(self, values: Iterable[bytes]) -> list[int]:
        for delta in _decoded(_DELTA, values, "delta"):
            if delta.exposures is not UNSET:
                self.monitor.expose(delta.exposures)
        return []

    def _rewards(self, values: Iterable[bytes]) -> list[int]:
        rewards: list[Reward] = [decode_reward(value) for value in values]
        for reward in rewards:
            self.monitor.reward(reward)
        return [reward.time for reward in rewards]

    def _advance(self) -> None:
        """Move the watermark: to the latest time of all, or as far as the last partition that is behind."""
        behind = [self._latest.get(tp, 0) for tp, left in self._behind.items() if left]
        latest = {tp: time for tp, time in self._latest.items() if tp.topic == self._settings.slates_topic}
        reached = min(behind) if behind else max(latest.values(), default=0)
        self.watermark = max(self.watermark, min(reached, max(latest.values(), default=0)))
        for alarm in self.monitor.advance(self.watermark):
            log.warning(
                "drift of %s, policy %s, scenario %s: mean %.4f until now, %.4f since, at %s",
                alarm.signal,
                alarm.policy,
                alarm.scenario,
                alarm.before,
                alarm.after,
                format_iso(self.watermark),
            )

    def _look(self) -> None:
        lag: dict[str, int] = {}
        for tp, left in self._behind.items():
            lag[tp.topic] = lag.get(tp.topic, 0) + left
        show(self.metrics, self.monitor, watermark=self.watermark, lag=lag)

    async def _assign(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Begin at the records of `since`; returns where the partitions end now."""
        settings = self._settings
        tps = []
        for topic in (settings.slates_topic, settings.rewards_topic, settings.deltas_topic):
            await consumer._client._wait_on_metadata(topic)
            tps += [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(tps)
        ends = dict(await consumer.end_offsets(tps))
        begin = now_ms() - self._since_ms
        for tp, found in (await consumer.offsets_for_times(dict.fromkeys(tps, begin))).items():
            start = ends[tp] if found is None else found.offset
            consumer.seek(tp, start)
            self._behind[tp] = ends[tp] - start
        return ends

    async def _serve(self) -> web.AppRunner:
        async def metrics(request: web.Request) -> web.Response:
            body, headers = await exposition(
                self.metrics.registry,
                accept=request.headers.get("Accept", ""),
                accept_encoding=request.headers.get("Accept-Encoding", ""),
            )
            return web.Response(body=body, headers=headers)

        async def healthz(request: web.Request) -> web.Response:
            del request
            left = sum(self._behind.values())
            return web.json_response({"healthy": True, "lag_records": left, "watermark": self.watermark})

        app = web.Application()
        app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        opened = partial(listen, setting="FRESHSLATE_MONITOR_PORT")
        site = web.SockSite(runner, opened(self._settings.worker_host, self._settings.monitor_port))
        await site.start()
        log.info("pages at %s (/metrics, /healthz)", site.name)
        return runner


def _decoded(decoder: msgspec.json.Decoder[Answer], values: Iterable[bytes], what: str) -> list[Answer]:
    """What the records say.

    Raises:
        UnreadableState: One is not what it should be.
    """
    try:
        return [decoder.decode(value) for value in values]
    except msgspec.DecodeError as error:
        raise UnreadableState(what, str(error)) from None


async def _left(consumer: AIOKafkaConsumer, tp: TopicPartition, end: int) -> int:
    """Offsets of a partition that are committed and not read yet; `end` stands in before the first fetch."""
    stable = consumer.last_stable_offset(tp)
    return max(0, (end if stable is None else stable) - int(await consumer.position(tp)))
