"""Shows a simulated shop while it is played: a few views a second, and a sample of everything each second."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from stream.scoreboard import Scoreboard
from stream.screens.demo import DemoScreen
from stream.view import DemoView, Effect, WorkerRow

VIEW_SECONDS: Final = 0.2
"""Time between two views."""


class Presenter:
    """Brings the scoreboard to the screen.

    Args:
        screen: Draws.
        board: Knows.
        rate: Events a second that the shop aims at.
        seconds: How long it is played.
    """

    def __init__(
        self,
        screen: DemoScreen,
        board: Scoreboard,
        *,
        rate: float,
        seconds: float,
    ) -> None:
        self._screen = screen
        self._board = board
        self._rate = rate
        self._seconds = seconds
        self._effect = Effect()
        self.workers: Callable[[], tuple[WorkerRow, ...]] = tuple
        """What is known of the workers, where somebody knows."""
        self.kills = 0
        """Workers killed so far."""

    async def run(self) -> None:
        """Show, for ever."""
        start, second = time.perf_counter(), 0
        while True:
            elapsed = time.perf_counter() - start
            if elapsed >= second + 1:
                second += 1
                self._board.tick()
                # Over all users: too much for every frame.
                self._effect = self._board.effect()
            self._screen.show(self.view(min(elapsed, self._seconds)))
            await asyncio.sleep(VIEW_SECONDS)

    def view(self, elapsed: float) -> DemoView:
        """This moment, so many seconds after the start."""
        events, slates, latency = self._board.passing()
        return DemoView(
            elapsed=elapsed,
            seconds=self._seconds,
            rate=self._rate,
            events=events,
            slates=slates,
            latency=latency,
            effect=self._effect,
            walk=self._board.walk,
            workers=self.workers(),
            counts=self._board.counts(self.kills, time.perf_counter()),
        )
