"""Who was asked, who was answered, and how long it took: the demo's own count, beside the audit's."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from state.slate import Slate


class Latency(NamedTuple):
    """Percentiles of event to slate, milliseconds; None without a measurement."""

    p50: float | None
    p99: float | None


class Tally:
    """Counts events that ask for a slate, and slates.

    Args:
        slate_types: event types that ask for a slate.
    """

    def __init__(self, slate_types: Collection[str]) -> None:
        self._slate_types = slate_types
        self._waiting: dict[str, float | None] = {}
        self._seen: set[str] = set()
        self._milliseconds: list[float] = []
        self.events = 0
        self.asked = 0
        """Events that asked for a slate."""
        self.slates = 0
        """Different ones."""
        self.duplicates = 0
        """Slates read again."""
        self.dead_letters = 0

    @property
    def waiting(self) -> int:
        """Events that asked for a slate, which nobody has read yet."""
        return len(self._waiting)

    def overdue(self, before: float) -> int:
        """How many of them were sent before this time of the clock."""
        return sum(at is not None and at < before for at in self._waiting.values())

    def sent(self, event_id: str, event_type: str, *, at: float | None = None) -> None:
        """Count an event, just before it is sent.

        Args:
            event_id: unique in this tally.
            event_type: says whether it asks for a slate.
            at: clock in seconds; without it the event's latency is not measured.
        """
        self.events += 1
        if event_type in self._slate_types:
            self.asked += 1
            self._waiting[event_id] = at

    def read(self, slate: Slate, at: float) -> float | None:
        """Count a slate that was read at `at`; milliseconds since its event was sent, where measured."""
        if slate.slate_id in self._seen:
            self.duplicates += 1
            return None
        self._seen.add(slate.slate_id)
        self.slates += 1
        sent = self._waiting.pop(slate.trigger.event_id, None)
        if sent is None:
            return None
        self._milliseconds.append(1000 * (at - sent))
        return self._milliseconds[-1]

    def latency(self) -> Latency:
        """Percentiles over everything measured so far."""
        if not self._milliseconds:
            return Latency(None, None)
        p50, p99 = np.percentile(self._milliseconds, (50, 99)).tolist()
        return Latency(round(p50, 1), round(p99, 1))
