"""Plays a simulated shop on a broker with workers of its own, or writes its events to a file."""

import asyncio
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple

from state.evaluation.experiment import ExperimentResult
from state.simulation.config import ShopConfig
from state.simulation.shop import Shop
from stream.beside import beside
from stream.closed_loop import ClosedLoop
from stream.codecs import encode_event
from stream.config import Settings
from stream.presenter import Presenter
from stream.scoreboard import Scoreboard
from stream.screens.demo import DemoScreen
from stream.tally import Tally
from stream.times import now_ms

STEP_MS: Final = 1000
"""Simulated time between two looks, when events go to a file: below `ShopConfig.patience_ms`."""
SETTLE_SECONDS: Final = 2.0
"""How long answers are awaited after the last event."""


class SimulateOptions(NamedTuple):
    """What was asked for."""

    config: ShopConfig
    seed: int
    seconds: float


async def simulate(settings: Settings, options: SimulateOptions, screen: DemoScreen) -> ExperimentResult:
    """Play the shop in real time against the workers that listen, and compare what their policies earned.

    Raises:
        FreshslateError: A topic is missing, or the broker stopped the shop.
        BrokerUnreachableError: No broker answers.
    """
    config = options.config
    screen.doing("opening the shop")
    shop = await asyncio.to_thread(Shop, config, seed=options.seed, start=now_ms())
    board = Scoreboard(Tally(settings.slate_types))
    presenter = Presenter(screen, board, rate=config.events_per_second, seconds=options.seconds)
    async with ClosedLoop(settings, shop, board) as loop, beside(loop.follow()):
        screen.done("shop", f"{await loop.announce():,} items, {config.shoppers:,} shoppers")
        board.go_live(shop.now)
        with screen.live():
            async with beside(presenter.run()):
                await loop.play(options.seconds)
        await asyncio.sleep(SETTLE_SECONDS)
    return board.experiment.compare()


def write_events(
    options: SimulateOptions, file: BinaryIO, *, on_progress: Callable[[int, float], None] = lambda *_: None
) -> int:
    """Write the events of so many simulated seconds, ending now, as JSON lines; returns how many.

    There is no engine: shoppers see popular items of the category they are in.

    Args:
        options: The shop; `seconds` is of its own time.
        file: To write to.
        on_progress: Called with events and simulated seconds so far.
    """
    end = now_ms()
    start = end - round(options.seconds * 1000)
    shop = Shop(options.config, seed=options.seed, start=start)
    count = 0
    for now in range(start + STEP_MS, end + STEP_MS, STEP_MS):
        events = shop.events(shop.advance(min(now, end)))
        shop.serve(shop.now)
        file.writelines(encode_event(event) + b"\n" for event in events)
        count += len(events)
        on_progress(count, (shop.now - start) / 1000)
    return count
