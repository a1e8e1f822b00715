"""aiokafka's consumer over logs in memory, and logs of feedback."""

import asyncio
import contextlib
from collections import defaultdict
from types import SimpleNamespace

from aiokafka import TopicPartition

from stream.codecs import encode_delta, encode_reward
from tests.state.posterior.made import delta, log, rewards
from tests.stream.fakes import until
from tests.stream.records import record

D0, D1, ITEMS = TopicPartition("deltas", 0), TopicPartition("deltas", 1), TopicPartition("items", 0)
R0, R1 = TopicPartition("rewards", 0), TopicPartition("rewards", 1)
SHOWN = log(5, count=300, minutes=240)


def feedback(*, partitions=(R0,)):
    """Records of exposures, and of the rewards that answer them, dealt to these partitions."""
    exposures = [
        record(encode_delta(delta(SHOWN[n : n + 10])), n // 10, topic="deltas", time=SHOWN[-1].time)
        for n in range(0, len(SHOWN), 10)
    ]
    answers = {tp: [] for tp in partitions}
    for n, reward in enumerate(sorted(rewards(SHOWN), key=lambda each: each.time)):
        tp, value = partitions[n % len(partitions)], encode_reward(reward)
        answers[tp].append(record(value, n // len(partitions), topic="rewards", time=reward.time))
    return {D0: exposures, ITEMS: [], **answers}


class Consumer:
    """aiokafka's consumer over logs in memory, as far as the replica uses it."""

    made = ()

    def __init__(self, logs, control_records=0):
        self.logs = logs
        self.starts = defaultdict(int)
        self.control_records = control_records
        self.positions = {}
        self.running = False
        self.stopped = False
        self.settings = {}
        self.failure = None
        self._client = self
        self.stable = {}
        """Last stable offsets, once something was fetched."""
        self._subscription = self.subscription = self.assignment = self

    async def _wait_on_metadata(self, topic):
        return None

    def __call__(self, **settings):
        self.settings = settings
        return self

    async def start(self):
        self.running = True

    async def stop(self):
        self.stopped = True

    def partitions_for_topic(self, topic):
        return {tp.partition for tp in self.logs if tp.topic == topic} or None

    def assign(self, tps):
        self.positions = dict.fromkeys(tps, 0)

    async def end_offsets(self, tps):
        return {tp: self.end(tp) for tp in tps}

    def end(self, tp):
        return (self.logs[tp][-1].offset + 1 if self.logs[tp] else 0) + self.control_records

    async def beginning_offsets(self, tps):
        return {tp: self.starts[tp] for tp in tps}

    async def offsets_for_times(self, times):
        self.asked_times = times
        found = {}
        for tp, time in times.items():
            at = [r for r in self.logs[tp] if r.timestamp >= time and r.offset >= self.starts[tp]]
            found[tp] = SimpleNamespace(offset=at[0].offset, timestamp=at[0].timestamp) if at else None
        return found

    def seek(self, tp, offset):
        self.positions[tp] = offset

    async def position(self, tp):
        return self.positions[tp]

    def last_stable_offset(self, tp):
        return self.stable.get(tp)

    def state_value(self, tp):
        return SimpleNamespace(_position=self.positions.get(tp))

    async def getmany(self, timeout_ms, max_records):
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        found = {}
        for tp, run in self.logs.items():
            new = [each for each in run if each.offset >= self.positions[tp]][:max_records]
            if new:
                found[tp] = new
                self.positions[tp] = new[-1].offset + 1
            else:
                self.positions[tp] = self.end(tp)
        return found


@contextlib.asynccontextmanager
async def following(replica):
    """A replica that runs, and has caught up."""
    task = asyncio.create_task(replica.run())
    try:
        await until(lambda: replica.caught_up.is_set() or task.done())
        if task.done():
            task.result()
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
