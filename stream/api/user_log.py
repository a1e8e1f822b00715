"""One user's steps, folded from what the log holds, in no more memory than the answer needs.

`stream/timeline.py` makes the steps; here records are given to it, input by input as far as each delta says,
so that nothing waits in memory for something that comes much later.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from state.event import FORGET
from state.slate import Reward
from stream.codecs import decode_delta, decode_reward
from stream.timeline import Happened, Step, Timeline, as_json
from stream.work import Record

REWARDS_KEPT: Final = 10_000
"""Latest rewards of the user that are looked through for those of the steps told."""
_EVER: Final = (1 << 63) - 1


class Feed:
    """The records of one input topic, given out as far as they are asked for.

    Args:
        records: in offset order.
    """

    def __init__(self, records: AsyncIterator[Record]) -> None:
        self._records = records
        self._next: Record | None = None
        self._ended = False
        self.began: int | None = None
        """Timestamp of the first record."""

    async def until(self, offset: int = _EVER) -> AsyncGenerator[Record, None]:
        """The records up to this offset that were not given out yet."""
        while not self._ended:
            record = self._next or await anext(self._records, None)
            if record is None:
                self._ended = True
                return
            if self.began is None:
                self.began = record.timestamp
            if record.offset > offset:
                self._next = record
                return
            self._next = None
            yield record
            if record.offset == offset:
                return


async def steps_of(
    timeline: Timeline, deltas: AsyncIterator[Record], inputs: Mapping[str, Feed]
) -> AsyncGenerator[Step, None]:
    """Every step that workers have made, in their order; then `timeline.waiting` says what is left.

    Args:
        timeline: to which the user's slates have been published; one that is not there is not waited for.
        deltas: of the user's partition.
        inputs: of the user's partition, by topic.

    Raises:
        InspectionError: The workers read a topic that is not among the inputs.
    """
    async for record in deltas:
        for span in decode_delta(record.value or b"").spans:
            if span.topic in inputs:
                async for each in inputs[span.topic].until(span.last_offset):
                    timeline.feed(each)
        timeline.cycle(record)
        for step in _made(timeline):
            yield step
    for topic, feed in inputs.items():
        async for each in feed.until():
            timeline.feed(each)
            if timeline.is_full(topic):
                break


def _made(timeline: Timeline) -> Iterator[Step]:
    while True:
        yield from timeline.steps()
        waiting = timeline.waiting
        if waiting is None or waiting.awaits != "slate":
            return
        timeline.go_on_without_slate()


class Told(Struct, kw_only=True):
    """The latest steps of a user."""

    steps: deque[Step]
    """As many as were asked for, oldest first; none from before the user was forgotten."""
    total: int = 0
    """That the log holds, since the user was forgotten."""
    forgotten_at: int | None = None
    """Log time of the last wish to forget the user, epoch milliseconds."""

    def add(self, step: Step) -> None:
        """Take the next step."""
        if isinstance(step, Happened) and step.event.type == FORGET:
            self.steps.clear()
            self.total, self.forgotten_at = 0, step.origin.time
        self.steps.append(step)
        self.total += 1


def steps_json(steps: Sequence[Step], rewards: Sequence[bytes]) -> list[dict[str, Any]]:
    """Steps as plain values, with the rewards that workers published.

    Those that the fold finds by itself lack what was earned by slates that have left the log.

    Args:
        steps: of one user.
        rewards: of that user, as on the topic.
    """
    earned: dict[str, list[Reward]] = {}
    for value in rewards:
        reward = decode_reward(value)
        earned.setdefault(reward.event_id, []).append(reward)
    return [_step_json(step, earned) for step in steps]


def _step_json(step: Step, earned: Mapping[str, Sequence[Reward]]) -> dict[str, Any]:
    said = as_json(step)
    if isinstance(step, Happened):
        said["rewards"] = msgspec.to_builtins(earned.get(step.event.event_id, ()))
        if said["slate"] is not None:
            # All candidates: ten times the rest, and `/why` has them.
            said["slate"].pop("pool", None)
            for item in said["slate"]["items"]:
                del item["neighbours_now"]
    return said
