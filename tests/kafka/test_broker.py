import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.broker import Broker, BrokerError, PortTakenError, Proxied, cluster_id_at, free_ports
from stream.proxy import Proxy

ROOT = Path(__file__).parents[2]
A_BROKER_UNTIL_KILLED = """
import sys, time
from stream.broker import Broker
broker = Broker.start()
print(broker.pid, broker.data_dir, flush=True)
time.sleep(600)
"""


def wait_until(true: Callable[[], bool]) -> bool:
    """Whether it became true at all; the limit only ends a broken test."""
    for _ in range(600):
        if true():
            return True
        time.sleep(0.05)
    return False


def runs(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def create(address: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def write(address: str, topic: str, value: bytes, **options: object) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, **options) as producer:
        await producer.send_and_wait(topic, value)


async def read_one(address: str, topic: str) -> bytes:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20
    ) as consumer:
        record = await consumer.getone()
        assert record.value is not None
        return bytes(record.value)


async def test_what_is_written_can_be_read(broker: str, prefix: str) -> None:
    await create(broker, prefix + "events")
    await write(broker, prefix + "events", b"a click")
    assert await read_one(broker, prefix + "events") == b"a click"


async def test_a_record_of_four_megabytes_is_taken(broker: str, prefix: str) -> None:
    await create(broker, prefix + "large")
    await write(broker, prefix + "large", b"x" * (4 << 20), max_request_size=8 << 20)
    assert len(await read_one(broker, prefix + "large")) == 4 << 20


async def test_data_survives_a_stop_and_a_sigkill_and_the_folder_is_formatted_once(tmp_path: Path) -> None:
    with Broker.start(tmp_path / "kafka") as first:
        await create(first.address, "events")
        await write(first.address, "events", b"kept")
        cluster = cluster_id_at(first.address)
    with Broker.start(tmp_path / "kafka") as second:
        assert await read_one(second.address, "events") == b"kept"
        os.kill(second.pid, signal.SIGKILL)
        assert wait_until(lambda: not runs(second.pid))
    with Broker.start(tmp_path / "kafka") as third:
        assert await read_one(third.address, "events") == b"kept"
        assert cluster_id_at(third.address) == cluster
    assert (tmp_path / "kafka" / "kafka.log").exists()


def test_two_brokers_run_at_once_and_a_temporary_one_leaves_nothing(broker: str) -> None:
    with Broker.start() as other:
        assert other.address != broker
        assert cluster_id_at(other.address) not in (None, cluster_id_at(broker))
        assert runs(other.pid)
    assert not runs(other.pid)
    assert not other.data_dir.exists()
    assert cluster_id_at(broker) is not None
    with pytest.raises(PortTakenError, match="set FRESHSLATE_BROKER="):
        Broker.start(port=int(broker.rpartition(":")[2]))


def test_a_broker_listens_on_the_port_it_was_asked_for_again_and_again(tmp_path: Path) -> None:
    with Broker.start(tmp_path) as first:
        port = first.port
    with Broker.start(tmp_path, port) as second:
        assert second.address == f"127.0.0.1:{port}"
        with pytest.raises(BrokerError, match="another broker runs in"):
            Broker.start(tmp_path).stop()
        # It has a second for each answer, which a busy machine may not give.
        assert wait_until(lambda: cluster_id_at(second.address) is not None)


def test_a_killed_parent_leaves_neither_java_nor_its_temporary_folder() -> None:
    command = [sys.executable, "-c", A_BROKER_UNTIL_KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert runs(int(pid))
        parent.kill()
    assert wait_until(lambda: not runs(int(pid)))
    assert wait_until(lambda: not Path(folder).exists())


async def test_a_killed_broker_comes_back_on_its_ports_also_to_those_behind_a_proxy(tmp_path: Path) -> None:
    listens, advertised = free_ports(2)
    proxied = Proxied(listens, advertised)
    first = Broker.start(tmp_path, proxied=proxied)
    try:
        async with Proxy(advertised, listens) as proxy:
            address = f"127.0.0.1:{advertised}"
            await create(first.address, "events")
            await write(address, "events", b"before")
            await asyncio.to_thread(first.kill)
            assert not runs(first.pid)
            assert cluster_id_at(first.address) is None
            second = await asyncio.to_thread(Broker.start, tmp_path, first.port, proxied=proxied)
            try:
                assert second.address == first.address
                passed = proxy.connections
                assert await read_one(address, "events") == b"before"
                assert proxy.connections > passed
            finally:
                second.stop()
    finally:
        first.stop()
