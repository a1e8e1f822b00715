import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

import stream.own_folder
from state.errors import StopWorker
from stream.config import Settings
from stream.own_folder import MOST_WORKERS, WRITER, end_open_transaction, own_folder, sign


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, app_id="shop")


def folder(lock):
    return Path(lock.lock_file).parent


def test_two_workers_take_different_folders_and_a_freed_one_is_taken_again(settings, tmp_path):
    one, two = own_folder(settings), own_folder(settings)
    assert [folder(lock) for lock in (one, two)] == [tmp_path / "shop" / f"worker-{n}" for n in (0, 1)]
    one.release()
    again = own_folder(settings)
    assert folder(again) == tmp_path / "shop" / "worker-0"
    again.release()
    two.release()


HOLD = """
import sys
from pathlib import Path
from stream.config import Settings
from stream.own_folder import own_folder
lock = own_folder(Settings(data_dir=Path(sys.argv[1]), app_id="shop"))
print(Path(lock.lock_file).parent.name, flush=True)
sys.stdin.read()
"""


def test_another_process_takes_another_folder_and_frees_it_by_dying(settings, tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "worker-0\n"
        ours = own_folder(settings)
        assert folder(ours).name == "worker-1"
        other.kill()
        other.wait()
        again = own_folder(settings)
        assert folder(again).name == "worker-0"
        ours.release()
        again.release()


def test_a_static_member_has_the_folder_of_its_name(tmp_path):
    settings = Settings(data_dir=tmp_path, app_id="shop", instance_id="pod-3")
    lock = own_folder(settings)
    assert folder(lock) == tmp_path / "shop" / "pod-3"
    with pytest.raises(StopWorker, match="in use by another process"):
        own_folder(settings)
    lock.release()


def test_when_every_folder_is_taken_the_error_says_what_to_do(settings, monkeypatch):
    monkeypatch.setattr(stream.own_folder, "MOST_WORKERS", 2)
    locks = [own_folder(settings), own_folder(settings)]
    with pytest.raises(StopWorker, match="FRESHSLATE_DATA_DIR"):
        own_folder(settings)
    for lock in locks:
        lock.release()
    assert MOST_WORKERS >= 16


def test_groups_share_no_folder(settings, tmp_path):
    one = own_folder(settings)
    two = own_folder(Settings(data_dir=tmp_path, app_id="other"))
    assert (folder(one).name, folder(two).name) == ("worker-0", "worker-0")
    assert folder(one) != folder(two)
    one.release()
    two.release()


def test_a_worker_of_a_folder_learns_who_was_there_before(tmp_path):
    assert sign(tmp_path, "shop-1") == ""
    assert sign(tmp_path, "shop-2") == "shop-1"
    assert sign(tmp_path, "shop-3") == "shop-2"


@pytest.mark.parametrize("damage", [lambda note: note.write_bytes(b"\xff\xfe"), lambda note: note.mkdir()])
def test_a_lost_name_is_a_warning(tmp_path, damage, caplog):
    damage(tmp_path / WRITER)
    assert sign(tmp_path, "shop-2") == ""
    assert "was lost" in caplog.text


@pytest.fixture
def ended(monkeypatch):
    """Transactional ids whose transactions were ended."""
    ids = []

    async def end(transactional_id, broker):
        ids.append((transactional_id, broker))

    monkeypatch.setattr(stream.own_folder, "end_transaction_of", end)
    return ids


async def test_what_the_last_worker_of_the_folder_left_open_is_ended(ended, settings):
    await end_open_transaction("shop-1", settings)
    await end_open_transaction("", settings)
    assert [(who, str(where)) for who, where in ended] == [("shop-1", "localhost:9092")]


async def test_without_transactions_there_is_nothing_to_end(ended, tmp_path):
    settings = Settings(data_dir=tmp_path, processing_guarantee="at_least_once")
    await end_open_transaction("shop-1", settings)
    assert ended == []


@pytest.mark.parametrize("error", [KafkaError("no"), TimeoutError()])
async def test_a_transaction_that_cannot_be_ended_now_keeps_no_worker_from_starting(
    settings, monkeypatch, caplog, error
):
    async def fail(transactional_id, broker):
        raise error

    monkeypatch.setattr(stream.own_folder, "end_transaction_of", fail)
    await end_open_transaction("shop-1", settings)
    assert "shop-1 was left alone" in caplog.text
