import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream import broker
from stream.broker import (
    Broker,
    BrokerError,
    PortTakenError,
    Proxied,
    broker_for,
    cluster_id_at,
    free_ports,
    new_cluster_id,
)


def parsed(properties: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in properties.splitlines())


def test_the_properties_name_both_listeners_and_the_data_folder() -> None:
    settings = parsed(broker.server_properties(Path("data"), 9092, 9093))
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert settings["log.dirs"] == "data"


def test_a_broker_behind_a_proxy_tells_its_clients_the_proxys_port() -> None:
    settings = parsed(broker.server_properties(Path("data"), 9092, 9093, proxied=Proxied(9094, 9095)))
    assert settings["listeners"].split(",")[2] == "PROXIED://127.0.0.1:9094"
    assert settings["advertised.listeners"].split(",") == [
        "PLAINTEXT://127.0.0.1:9092",
        "PROXIED://127.0.0.1:9095",
    ]
    assert settings["inter.broker.listener.name"] == "PLAINTEXT"


def test_topics_are_never_made_by_a_typo_and_large_records_fit() -> None:
    settings = parsed(broker.server_properties(Path("data"), 1, 2))
    assert settings["auto.create.topics.enable"] == "false"
    assert int(settings["message.max.bytes"]) == 8 << 20
    assert int(settings["replica.fetch.max.bytes"]) >= int(settings["message.max.bytes"])
    assert int(settings["transaction.abort.timed.out.transaction.cleanup.interval.ms"]) == 500


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        broker.refuse_taken(port)


def test_a_taken_port_is_an_error_that_offers_the_other_way() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"FRESHSLATE_BROKER=127.0.0.1:{port}"):
            broker.refuse_taken(port)


def test_a_given_address_is_used_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broker, "start", lambda *_, **__: pytest.fail("started a broker"))
    with broker_for("kafka.example:9092") as address:
        assert address == "kafka.example:9092"


@contextmanager
def a_server(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A peer that answers each request, on a connection of its own, with `answer(request)`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(answer(connection.recv(1000)))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def text(value: str | None) -> bytes:
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def metadata(brokers: int, cluster_id: str | None) -> bytes:
    node = struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">i", 9092) + text(None)
    body = struct.pack(">ii", 0, brokers) + node * brokers + text(cluster_id) + struct.pack(">ii", 1, 0)
    return struct.pack(">i", len(body)) + body


def test_the_cluster_id_is_read_past_the_brokers() -> None:
    with a_server(lambda _: metadata(2, "one")) as address:
        assert cluster_id_at(address) == "one"


def test_a_cluster_without_a_broker_is_not_ready() -> None:
    with a_server(lambda _: metadata(0, "one")) as address:
        assert cluster_id_at(address) is None


@pytest.mark.parametrize("answer", [b"", b"\0\0", struct.pack(">i", 40) + b"cut short"])
def test_what_accepts_a_connection_but_does_not_speak_kafka_is_not_ready(answer: bytes) -> None:
    with a_server(lambda _: answer) as address:
        assert cluster_id_at(address) is None


def test_where_nobody_listens_nothing_is_ready() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    assert cluster_id_at(address) is None
    assert not broker.has_coordinators(address)


@pytest.mark.parametrize(("error", "found"), [(0, True), (15, False)])
def test_coordinators_are_there_when_the_answer_has_no_error(error: int, found: bool) -> None:
    body = struct.pack(">iih", 0, 0, error)
    with a_server(lambda _: struct.pack(">i", len(body)) + body) as address:
        assert broker.has_coordinators(address) is found


def a_node(folder: Path, java: str, cluster_id: str = "one") -> broker._Node:
    """A formatted node whose java is a shell script."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text(f"version=1\ncluster.id={cluster_id}\n")
    return broker._Node(["sh", "-c", java], folder, is_scratch=False)


def test_java_that_ends_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    node = a_node(tmp_path, "echo out of luck >&2; exit 1")
    (tmp_path / "kafka.log").write_text("an earlier run\n")
    with pytest.raises(BrokerError, match=r"(?s)ended while it started.*kafka\.log.*out of luck") as caught:
        node.launch(*free_ports(2), timeout_seconds=30)
    assert "an earlier run" not in str(caught.value)


def test_java_that_never_answers_is_an_error_and_is_ended(tmp_path: Path) -> None:
    node = a_node(tmp_path, "echo $$ > pid; exec sleep 600")
    with pytest.raises(BrokerError, match="did not answer at 127"):
        node.launch(*free_ports(2), timeout_seconds=0.5)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_port_taken_meanwhile_is_tried_elsewhere_a_few_times(tmp_path: Path) -> None:
    node = a_node(
        tmp_path, "echo x >> tries; echo java.net.BindException: Address already in use >&2; exit 1"
    )
    with pytest.raises(PortTakenError, match="Address already in use"):
        node.launch_on_free_port(None, 30)
    assert (tmp_path / "tries").read_text().count("x") == broker.START_ATTEMPTS


def test_another_kafka_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    node = a_node(tmp_path, "exec sleep 600", cluster_id="ours")
    with (
        a_server(lambda _: metadata(1, "theirs")) as address,
        pytest.raises(BrokerError, match="did not answer"),
    ):
        node.launch(int(address.rpartition(":")[2]), 1, timeout_seconds=0.5)


def test_a_folder_that_is_no_node_is_refused(tmp_path: Path) -> None:
    node = a_node(tmp_path, "exit 1")
    (tmp_path / "data" / "meta.properties").write_text("version=1\n")
    with pytest.raises(BrokerError, match="names no cluster"):
        node.launch(1, 2, timeout_seconds=1)


def test_a_failing_format_says_why(tmp_path: Path) -> None:
    node = broker._Node(["sh", "-c", "echo no space left >&2; exit 1"], tmp_path, is_scratch=False)
    with pytest.raises(BrokerError, match=r"cannot format .*no space left"):
        node.launch(1, 2, timeout_seconds=1)


def test_only_a_temporary_folder_is_cleared(tmp_path: Path) -> None:
    for name in ("kept", "scratch"):
        (tmp_path / name).mkdir()
        broker._Node(["java"], tmp_path / name, is_scratch=name == "scratch").clear()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    ids = {new_cluster_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert not [each for each in ids if each.startswith("-")]
