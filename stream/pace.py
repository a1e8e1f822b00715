"""How much a cycle takes on."""

from typing import Final

_MEMORY: Final = 0.9
"""Weight of what was known before, when another cycle is seen."""


class Pace:
    """Learns what an event takes, and says how many a cycle may have.

    Args:
        max_events: most events in one cycle.
        step_seconds: aim for the compute of one cycle, so that latency stays flat under load.
    """

    def __init__(self, max_events: int, step_seconds: float) -> None:
        self._max_events = max_events
        self._step_seconds = step_seconds
        self._seconds_per_event = 0.0

    def cap(self) -> int:
        """Most events of the next cycle; at least 1."""
        if not self._seconds_per_event:
            return self._max_events
        return min(self._max_events, max(1, int(self._step_seconds / self._seconds_per_event)))

    def learn(self, seconds: float, events: int) -> None:
        """See that a step with so many events took so long."""
        latest = seconds / max(1, events)
        known = self._seconds_per_event or latest
        self._seconds_per_event = _MEMORY * known + (1 - _MEMORY) * latest
