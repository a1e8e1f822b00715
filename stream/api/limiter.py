"""How many requests a key may make: a bucket of tokens for each."""

from collections.abc import Callable


class Limiter:
    """Token buckets by name.

    Args:
        rate: requests a second, on average; a second's worth, and at least one, may come at once.
        now: a monotonic clock, seconds.
    """

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, name: str) -> float:
        """Take a token: 0, or the seconds until there is one, and then none was taken."""
        now = self._now()
        left, at = self._left.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        if left < 1:
            self._left[name] = (left, now)
            return (1 - left) / self._rate
        self._left[name] = (left - 1, now)
        return 0.0
