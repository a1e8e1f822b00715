"""The pulse of the event loop: how late it wakes up a timer."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

SECONDS: Final = 0.1
"""Between two beats."""


async def pulse(observe: Callable[[Iterable[float]], None], *, seconds: float = SECONDS) -> None:
    """Sleep for ever, in short pieces, and tell how much longer than asked each took.

    A slate that waits for the loop waits just so: the delay is what computing, logging and collecting garbage
    in the loop's own thread cost everything else in it.

    Args:
        observe: takes the delays, seconds.
        seconds: of one sleep.
    """
    while True:
        # Not by the event loop's own clock: uvloop's ticks in milliseconds.
        due = time.perf_counter() + seconds
        await asyncio.sleep(seconds)
        observe([max(0.0, time.perf_counter() - due)])
