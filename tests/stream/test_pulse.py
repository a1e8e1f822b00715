import asyncio
import time

from stream.pulse import pulse


async def beats(count, busy_seconds=0.0):
    """The first so many delays, of a loop that is kept busy between them."""
    seen = []
    task = asyncio.create_task(pulse(seen.extend, seconds=0.005))
    while len(seen) < count:
        await asyncio.sleep(0)
        time.sleep(busy_seconds)  # noqa: ASYNC251 - the loop held up on purpose
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seen


async def test_every_beat_tells_its_delay_and_none_is_negative():
    seen = await beats(5)
    assert len(seen) >= 5
    assert min(seen) >= 0


async def test_a_loop_that_is_held_up_shows_in_the_delay():
    # A busy step of 40 ms covers the whole sleep of 5 ms, so the timer is at least 30 ms late.
    seen = await beats(3, busy_seconds=0.04)
    assert min(seen) > 0.03
