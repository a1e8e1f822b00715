"""A real Apache Kafka on this machine, from Python packages alone.

The default for demo, tests and benchmarks. Why it is done so: docs/decisions/embedded-kafka.md.
"""

import base64
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.broker_config import Listener, Proxied, Secured, server_properties
from stream.claim import ClaimedError, claimed
from stream.java import BrokerError, Progress, java_executable, kafka_class_path, tell

__all__ = [
    "Broker",
    "BrokerError",
    "Listener",
    "PortTakenError",
    "Proxied",
    "Secured",
    "broker_for",
    "cluster_id_at",
]

STOP_SECONDS = 10.0
"""How long the supervisor may take to end java; it has 5 s of patience itself."""
START_ATTEMPTS = 3
"""How often other free ports are tried when somebody takes the chosen ones meanwhile."""


class PortTakenError(BrokerError):
    """Another process listens on the port."""


class Broker:
    """One running Kafka node, for as long as this process lives or until `stop`.

    A context manager: leaving it stops the broker.
    """

    def __init__(self, supervisor: "subprocess.Popen[bytes]", pid: int, port: int, node: "_Node") -> None:
        self._supervisor = supervisor
        self._node = node
        self.pid = pid
        """Process id of java."""
        self.port = port
        self.data_dir = node.folder
        """Holds `kafka.log` (what java printed), `server.properties` and the topics' data."""

    @property
    def address(self) -> str:
        """What a client takes as bootstrap server: `host:port`."""
        return f"127.0.0.1:{self.port}"

    @classmethod
    def start(
        cls,
        data_dir: Path | None = None,
        port: int | None = None,
        *,
        proxied: Proxied | None = None,
        secured: Secured | None = None,
        on_progress: Progress | None = None,
        timeout_seconds: float = 60.0,
    ) -> "Broker":
        """Start a broker and return when it answers requests, 3-4 s later.

        The first start on a machine fetches 43 MB of jars before that, which takes about 30 s.

        Args:
            data_dir: kept, and continued when the broker starts on it again; without it a temporary folder,
                removed when the broker ends, whichever way that happens.
            port: to listen on; without it a free one.
            proxied: where to listen as well.
            secured: listeners that ask who one is, and who may do what.
            on_progress: hears of the fetching, a line now and then; default: lines on standard error.
            timeout_seconds: how long Kafka may take to answer.

        Raises:
            BrokerError: no Java, no jars, or Kafka did not start; with the end of its log.
            PortTakenError: somebody listens on `port`.
        """
        java = java_executable()
        class_path = kafka_class_path(on_progress or tell)
        folder = (
            Path(tempfile.mkdtemp(prefix="freshslate-kafka-")) if data_dir is None else data_dir.resolve()
        )
        node = _Node([str(java), "-cp", class_path], folder, is_scratch=data_dir is None)
        node.proxied, node.secured = proxied, secured
        try:
            return node.launch_on_free_port(port, timeout_seconds)
        except BaseException:
            node.clear()
            raise

    def stop(self) -> None:
        """End Kafka, in about 0.3 s; a second call does nothing."""
        _end(self._supervisor)
        self._node.clear()

    def kill(self) -> None:
        """End Kafka by SIGKILL; its data folder stays, also a temporary one."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._supervisor.wait(STOP_SECONDS)
        _end(self._supervisor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def broker_for(
    address: str | None, *, data_dir: Path | None = None, on_progress: Progress | None = None
) -> Iterator[str]:
    """The address to use: `address` (the setting `FRESHSLATE_BROKER`) if there is one, else our own broker's.

    Only a broker that was started here is stopped at the end.
    """
    if address:
        yield address
        return
    with Broker.start(data_dir, on_progress=on_progress) as broker:
        yield broker.address


def new_cluster_id() -> str:
    """A random id as Kafka writes it: base64 of 16 bytes, not beginning with `-` like an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def refuse_taken(port: int) -> None:
    """Raise PortTakenError if somebody listens on `port`."""
    with socket.socket() as probe:
        # As java does: a port whose last connections linger is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = (
                f"port {port} cannot be had ({error.strerror}): ask for another one, "
                f"or set FRESHSLATE_BROKER=127.0.0.1:{port} if a Kafka broker runs there"
            )
            raise PortTakenError(message) from error


def cluster_id_at(address: str, timeout_seconds: float = 1.0) -> str | None:
    """The cluster id of the Kafka that answers at `host:port`; None while none is ready to serve there.

    One Metadata request, version 2, for no topics. Ready means that the cluster lists a broker.
    """
    response = _ask(address, struct.pack(">hhihi", 3, 2, 0, -1, 0), timeout_seconds)
    return _cluster_id(response) if response else None


def has_coordinators(address: str, timeout_seconds: float = 1.0) -> bool:
    """Whether groups and transactions can be coordinated; asking makes Kafka create the topics for it.

    FindCoordinator, version 1, for a group (0) and for a transactional id (1); the answer's error must be 0.
    """
    requests = [struct.pack(">hhihh1sb", 10, 1, 0, -1, 1, b"-", kind) for kind in (0, 1)]
    responses = [_ask(address, request, timeout_seconds) for request in requests]
    return all(response and not struct.unpack_from(">h", response, 8)[0] for response in responses)


def _ask(address: str, request: bytes, timeout_seconds: float) -> bytes | None:
    """One request of Kafka's protocol on a connection of its own; None if it brings no response."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout_seconds) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                response = stream.read(min(size, 1 << 20))
                return response if len(response) == size else None
    except (OSError, struct.error):
        return None


def _cluster_id(response: bytes) -> str | None:
    """Walk a Metadata response: correlation id, [node id, host, port, rack], cluster id."""
    at = 4

    def text() -> str | None:
        nonlocal at
        (length,) = struct.unpack_from(">h", response, at)
        start, at = at + 2, at + 2 + max(length, 0)
        return None if length < 0 else response[start:at].decode()

    (brokers,) = struct.unpack_from(">i", response, at)
    at += 4
    for _ in range(brokers):
        at += 4
        text()
        at += 4
        text()
    return text() if brokers else None


class _Node:
    """A Kafka node on a folder, before it has ports."""

    def __init__(self, java: list[str], folder: Path, *, is_scratch: bool) -> None:
        self.java = java
        self.folder = folder
        self.proxied: Proxied | None = None
        self.secured: Secured | None = None
        self.is_scratch = is_scratch
        self.data = folder / "data"
        self.log = folder / "kafka.log"
        self.properties = folder / "server.properties"

    def launch_on_free_port(self, port: int | None, timeout_seconds: float) -> Broker:
        for attempts_left in reversed(range(START_ATTEMPTS)):
            if port is not None:
                refuse_taken(port)
            free, controller_port = free_ports(2)
            try:
                return self.launch(port or free, controller_port, timeout_seconds)
            except PortTakenError:
                if not attempts_left:
                    raise
        raise AssertionError

    def launch(self, port: int, controller_port: int, timeout_seconds: float) -> Broker:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            # Kafka's own lock comes after it has touched the log of the one that runs.
            with claimed(self.folder) as claim:
                properties = server_properties(
                    self.data, port, controller_port, proxied=self.proxied, secured=self.secured
                )
                self.properties.touch(0o600)
                self.properties.write_text(properties)
                cluster_id = self._format()
                logged = self.log.stat().st_size if self.log.exists() else 0
                supervisor = self._spawn(claim)
        except ClaimedError:
            message = f"another broker runs in {self.folder}: stop it, or choose another folder"
            raise BrokerError(message) from None
        try:
            assert supervisor.stdout is not None
            with supervisor.stdout as told:
                pid = int(told.readline() or 0)
            broker = Broker(supervisor, pid, port, self)
            self._wait(broker.address, cluster_id, supervisor, timeout_seconds)
        except BaseException as error:
            explained = self._with_log(error, logged) if isinstance(error, BrokerError) else error
            _end(supervisor)
            raise explained from None
        return broker

    def clear(self) -> None:
        """Remove a temporary folder."""
        if self.is_scratch:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _format(self) -> str:
        """Make the data folder a Kafka node's if it is none yet; its cluster id."""
        known = self.data / "meta.properties"
        if not known.exists():
            cluster_id = new_cluster_id()
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.properties)]
            tool += self.secured.storage_arguments() if self.secured else []
            made = subprocess.run(
                [*self.java, "-XX:TieredStopAtLevel=1", *tool], capture_output=True, text=True, check=False
            )
            if made.returncode:
                message = f"Kafka cannot format {self.data}: {(made.stderr or made.stdout).strip()[-500:]}"
                raise BrokerError(message)
        found = re.search(r"^cluster\.id=(.+)$", known.read_text(), re.MULTILINE)
        if not found:
            message = f"{known} names no cluster: is {self.folder} a broker's data folder?"
            raise BrokerError(message)
        return found[1].strip()

    def _spawn(self, claim: int) -> "subprocess.Popen[bytes]":
        scratch = str(self.folder) if self.is_scratch else ""
        heap = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        kafka = [*self.java, *heap, quiet, "kafka.Kafka", str(self.properties)]
        # Isolated (-I): the folder of this file must not shadow the standard library, as `codecs` would.
        script = str(Path(__file__).with_name("supervisor.py"))
        supervisor = [sys.executable, "-I", "-S", script, scratch, *kafka]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches us, and we decide when Kafka ends.
            return subprocess.Popen(
                supervisor,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                pass_fds=(claim,),
            )

    def _wait(
        self, address: str, cluster_id: str, supervisor: "subprocess.Popen[bytes]", timeout_seconds: float
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        # The id, not just any answer: another broker may have taken the port a moment ago.
        while cluster_id_at(address) != cluster_id or not has_coordinators(address):
            if supervisor.poll() is not None:
                message = "Kafka ended while it started"
                raise BrokerError(message)
            if time.monotonic() > deadline:
                message = f"Kafka did not answer at {address} within {timeout_seconds:.0f} s"
                raise BrokerError(message)
            time.sleep(0.05)

    def _with_log(self, error: BrokerError, logged: int) -> BrokerError:
        """The same error with the last lines that say something, of what java printed since byte `logged`."""
        with self.log.open("rb") as log:
            log.seek(logged)
            printed = log.read().decode(errors="replace")
        kind = PortTakenError if "Address already in use" in printed else type(error)
        # Java's stack frames and deprecation warnings would push out the line that says what happened.
        said = [line for line in printed.splitlines() if not line.startswith(("\tat ", "WARNING: "))]
        last = "\n  ".join(said[-12:]) or "(nothing)"
        return kind(f"{error}. The end of {self.log}:\n  {last}")


def _end(supervisor: "subprocess.Popen[bytes]") -> None:
    """Let go of the supervisor, which ends java, and wait for both."""
    if supervisor.stdin is not None:
        supervisor.stdin.close()
    try:
        supervisor.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
