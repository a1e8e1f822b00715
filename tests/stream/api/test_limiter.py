"""Token buckets."""

from stream.api.limiter import Limiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_seconds_worth_may_come_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    limiter = Limiter(10, clock)
    assert [limiter.wait("a") for _ in range(10)] == [0.0] * 10
    assert limiter.wait("a") == 0.1
    clock.now += 0.5
    assert [limiter.wait("a") for _ in range(6)] == [0.0] * 5 + [0.1]


def test_nobody_pays_for_another() -> None:
    limiter = Limiter(1, Clock())
    assert (limiter.wait("a"), limiter.wait("b"), limiter.wait("a")) == (0.0, 0.0, 1.0)


def test_a_rate_below_one_still_lets_one_through_and_then_waits() -> None:
    clock = Clock()
    limiter = Limiter(0.1, clock)
    assert limiter.wait("a") == 0.0
    assert limiter.wait("a") == 10.0
    clock.now += 10
    assert limiter.wait("a") == 0.0
