"""Ctrl-C once: the first signal interrupts, every further one is ignored until all is cleaned up."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

Answer = TypeVar("Answer")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interruptible:
    """A block that the first SIGINT or SIGTERM leaves, and only the first.

    Inside, both are a `KeyboardInterrupt`; outside, SIGTERM is a `SystemExit` with code 143. Cleaning up is
    never interrupted, however often somebody presses Ctrl-C. For the main thread.
    """

    def __init__(self) -> None:
        self._cancel: Callable[[], Any] | None = None
        self._before: dict[signal.Signals, Any] = {}
        self.signal: int | None = None
        """The signal that came."""

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._handle) for each in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        if kind is KeyboardInterrupt and self.signal == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)

    def run(self, main: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine to its end; a signal cancels it, and what it cleans up is not interrupted.

        Raises:
            KeyboardInterrupt: a signal came.
        """
        try:
            return asyncio.run(self._cancellable(main))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    async def _cancellable(self, main: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.create_task(main)
        loop = asyncio.get_running_loop()
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            return await task
        finally:
            self._cancel = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None:
            return
        self.signal = number
        if self._cancel is None:
            raise KeyboardInterrupt
        self._cancel()
