"""The worker's pages: faust's own web server, on a port that no other worker of the machine has."""

import asyncio
import errno
import gzip
import logging
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from aiohttp.web import SockSite
from faust.web.drivers import aiohttp as driver
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector

from state.errors import StopWorker

log = logging.getLogger(__name__)

MORE_PORTS: Final = 64
"""Ports tried after the first; as many as workers may share a data folder."""
_BACKLOG: Final = 128
_LAST_PORT: Final = 65_535


class Web(driver.Web):  # type: ignore[misc]  # untyped base
    """faust's web server with the app's pages alone: none of faust's own (router, tables, graph, statistics).

    faust would give up where its port is taken, or, asked to, share it with the next worker.
    """

    address: str = ""
    """Where the pages are, once they are served: `http://host:port`."""

    default_blueprints = ()
    production_blueprints = ()
    debug_blueprints = ()
    optional_blueprints = ()

    def _new_transport_tcp(self) -> SockSite:
        conf = self.app.conf
        sock = listen(conf.web_bind, self.app.first_port)
        site = SockSite(self._runner, sock, ssl_context=conf.web_ssl_context)
        self.address = site.name
        log.info("pages at %s (%s)", self.address, ", ".join(self.views))
        return site


def listen(host: str, port: int, *, setting: str = "FRESHSLATE_WORKER_PORT") -> socket.socket:
    """Listen on the first free port of `port` and the `MORE_PORTS` after it; on any where it is 0.

    The socket is taken at once and kept: nobody can come between finding a port and using it. `setting` is
    where the port came from.

    Raises:
        StopWorker: all of them are taken, or the address is not ours to listen on.
    """
    last = min(port + MORE_PORTS, _LAST_PORT) if port else 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, last + 1):
        try:
            opened = socket.create_server((host, candidate), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                message = (
                    f"the worker's pages cannot listen on {host} port {candidate}: {error}. Set "
                    f"FRESHSLATE_WORKER_HOST to an address of this machine, {setting} to a port "
                    "that this user may open."
                )
                raise StopWorker(message) from None
        else:
            # Connections inherit it; asyncio sets it only for sockets that say they are TCP. Without it an
            # answer in two parts waits 40 ms for the client's acknowledgement of the first.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened
    message = (
        f"the ports {port} to {last} of {host} are all taken: set {setting} to another port, or "
        "to 0 for any that is free"
    )
    raise StopWorker(message)


class Collected(Collector):
    """What a registry held at one moment, to be written elsewhere."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        """The same families, every time."""
        return iter(self._families)


async def exposition(
    registry: CollectorRegistry, *, accept: str, accept_encoding: str
) -> tuple[bytes, dict[str, str]]:
    """Write a registry as Prometheus wants it, and the headers that say how.

    The values are collected here, in the loop's own thread; writing and packing them is left to another.

    Args:
        registry: to write.
        accept: the request's header: text or OpenMetrics, and their versions.
        accept_encoding: the request's header: gzip or not.
    """
    encode, content_type = choose_encoder(accept)
    body = await asyncio.to_thread(encode, Collected(registry.collect()))
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if gzip_accepted(accept_encoding):
        body = await asyncio.to_thread(gzip.compress, body, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    return body, headers
