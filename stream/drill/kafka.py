"""The drill's broker: killed and started again on the same ports and data, frozen, behind a proxy."""

import asyncio
import os
import signal
from pathlib import Path

from stream.broker import Broker, Proxied, free_ports


class Kafka:
    """A broker that comes back.

    Args:
        folder: of its data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, listens, advertised = free_ports(3)
        self.proxied = Proxied(listens, advertised)
        self._broker: Broker | None = None

    @property
    def address(self) -> str:
        """For whoever is not to feel the proxy."""
        return f"127.0.0.1:{self.port}"

    @property
    def proxied_address(self) -> str:
        """For the workers."""
        return f"127.0.0.1:{self.proxied.advertised}"

    @property
    def pid(self) -> int:
        """Of java."""
        if self._broker is None:
            message = "the broker is not started"
            raise RuntimeError(message)
        return self._broker.pid

    async def start(self) -> None:
        """Start it, or the next one on what the last one left."""
        self._broker = await asyncio.to_thread(
            Broker.start, self._folder, self.port, proxied=self.proxied, timeout_seconds=90.0
        )

    async def kill(self) -> None:
        """SIGKILL."""
        if self._broker is not None:
            await asyncio.to_thread(self._broker.kill)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End it."""
        if self._broker is not None:
            self._broker.stop()
