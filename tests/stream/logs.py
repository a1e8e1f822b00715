"""aiokafka's consumer over logs in memory."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace


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
