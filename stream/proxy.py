"""A TCP proxy between workers and their broker, whose line can be cut, refused or slow.

It passes bytes and knows nothing of Kafka. Kafka names its address in its answers, so the broker needs a
listener that it advertises at the proxy's port (`stream/broker.py`, `Proxied`).
"""

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 64 << 10
WAITING_CHUNKS: Final = 256
"""Chunks on their way in one direction of a connection, before the sender is held back."""


class Proxy:
    """Listens on a port and passes every connection on.

    Args:
        port: to listen on, of this machine alone.
        target: port of this machine that connections are passed on to.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.delay_seconds = 0.0
        """Time that bytes take through it, each way; may be set at any moment."""
        self.is_refusing = False
        """Whether new connections are closed at once."""
        self.connections = 0
        """Passed on so far."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> int:
        """Cut every connection, with whatever is on its way; how many there were."""
        for writer in self._open:
            # A reset, as of a line that broke: `close` would first deliver what waits.
            writer.transport.abort()
        return len(self._open) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [writer]
        try:
            if self.is_refusing:
                return
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            except OSError:
                return  # no broker there: the client sees a closed connection
            ends.append(far_writer)
            self._open.update(ends)
            self.connections += 1
            with suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, far_writer))
                    both.create_task(self._pass(far_reader, writer))
        except asyncio.CancelledError:
            pass  # the proxy ends; asyncio's streams log whatever their handler raises
        finally:
            self._tasks.discard(task)
            self._open.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on until it ends, then raise, which ends the other one too."""
        line = _Line(writer)
        async with asyncio.TaskGroup() as both:
            both.create_task(line.deliver())
            while chunk := await reader.read(CHUNK_BYTES):
                await line.put(chunk, time.monotonic() + self.delay_seconds)
            raise ConnectionError


class _Line:
    """Bytes on their way, in order, each with the moment at which it arrives."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._waiting: asyncio.Queue[tuple[bytes, float]] = asyncio.Queue(WAITING_CHUNKS)

    async def put(self, chunk: bytes, due: float) -> None:
        await self._waiting.put((chunk, due))

    async def deliver(self) -> None:
        while True:
            chunk, due = await self._waiting.get()
            if (left := due - time.monotonic()) > 0:
                await asyncio.sleep(left)
            self._writer.write(chunk)
            await self._writer.drain()
