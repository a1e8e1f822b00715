"""Which faults a drill has, and with which settings; the whole of it in `tests/kafka/test_drill.py`."""

from pathlib import Path

import pytest

from state.errors import FreshslateError
from stream.drill.acts import FAULTS
from stream.drill.disk import SPARE_BYTES
from stream.drill.kafka import Kafka
from stream.drill.run import DrillOptions, chosen, drill_settings


def test_every_fault_comes_once_in_an_order_that_the_seed_decides() -> None:
    names = chosen(DrillOptions())
    assert sorted(names) == sorted(FAULTS)
    assert names == chosen(DrillOptions())
    assert names != chosen(DrillOptions(seed=2))


def test_without_transactions_there_are_no_zombies() -> None:
    names = chosen(DrillOptions(guarantee="at_least_once"))
    assert set(FAULTS) - set(names) == {"zombie", "freeze_committing"}
    assert chosen(DrillOptions(guarantee="at_least_once", faults=("zombie",))) == ["zombie"]


def test_a_wrong_name_is_an_error_that_lists_the_right_ones() -> None:
    with pytest.raises(FreshslateError, match=r"no fault kil; there are kill, kill_all"):
        chosen(DrillOptions(faults=("kil", "wipe")))


def test_workers_are_behind_the_proxy_and_state_gets_to_the_disk_soon(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path)
    settings = drill_settings(kafka, tmp_path, DrillOptions(guarantee="at_least_once"))
    assert settings.broker == kafka.proxied_address != kafka.address
    assert settings.processing_guarantee == "at_least_once"
    assert settings.transaction_timeout_seconds < settings.session_timeout_seconds
    assert 2 * SPARE_BYTES < settings.rocksdb_write_buffer_bytes < 1 << 20
