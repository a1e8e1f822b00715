"""The drill's broker before it is started; with java in `tests/kafka/test_broker.py` and `test_drill.py`."""

from pathlib import Path

import pytest

from stream.drill.kafka import Kafka


def test_it_has_three_ports_and_workers_are_told_the_proxys(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path)
    assert len({kafka.port, *kafka.proxied}) == 3
    assert kafka.address == f"127.0.0.1:{kafka.port}"
    assert kafka.proxied_address == f"127.0.0.1:{kafka.proxied.advertised}"


async def test_one_that_is_not_started_can_be_killed_and_stopped(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path)
    await kafka.kill()
    kafka.stop()
    with pytest.raises(RuntimeError, match="not started"):
        _ = kafka.pid
