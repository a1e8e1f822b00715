"""A worker process of our own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.child import ChildEnded, ChildWorker, ended, environment
from stream.config import Settings


def test_what_was_set_becomes_the_childs_environment(tmp_path: Path) -> None:
    settings = Settings(broker="h:1", inputs=("clicks", "purchases"), data_dir=tmp_path, instance_id=None)
    assert environment(settings) == {
        "FRESHSLATE_BROKER": "h:1",
        "FRESHSLATE_INPUTS": "clicks,purchases",
        "FRESHSLATE_DATA_DIR": str(tmp_path),
    }


def test_a_child_is_given_secrets_as_they_are(tmp_path: Path) -> None:
    settings = Settings(http_token="0123456789abcdef")
    assert environment(settings) == {"FRESHSLATE_HTTP_TOKEN": "0123456789abcdef"}


def test_a_child_gets_passwords_as_they_are_and_nothing_that_was_unset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHSLATE_KAFKA_CA_FILE", "ca.pem")
    monkeypatch.setenv("FRESHSLATE_SLATE_SIZE", "7")
    settings = Settings(
        kafka_ca_file=None,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="me",
        kafka_sasl_password="sesame",
    )
    told = "import os; print([v for n, v in sorted(os.environ.items()) if n.startswith('FRESHSLATE_')])"
    with ChildWorker(settings, tmp_path, command=[sys.executable, "-c", told]) as worker:
        ended(worker.pid)
        assert worker.log_file.read_text().strip() == "['PLAIN', 'sesame', 'me', 'SASL_PLAINTEXT', '7']"


def test_a_worker_that_ends_by_itself_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    settings = Settings(broker="127.0.0.1:1", data_dir=tmp_path / "data")
    with ChildWorker(settings, tmp_path) as worker:
        ended(worker.pid)
        time.sleep(0.5)  # the supervisor looks five times a second
        with pytest.raises(ChildEnded) as raised:
            worker.check()
    assert raised.value.code == 1
    assert "no Kafka broker answers at 127.0.0.1:1" in str(raised.value)


def test_stopping_removes_the_folder_and_may_be_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    worker = ChildWorker(Settings(broker="127.0.0.1:1", data_dir=folder / "data"), folder)
    worker.stop()
    worker.stop()
    assert not folder.exists()
    assert worker.log() == ""


def test_a_killed_worker_is_gone_and_its_folder_stays(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    worker = ChildWorker(Settings(broker="127.0.0.1:1", data_dir=folder / "data"), folder, name="one")
    worker.kill()
    ended(worker.pid)
    assert (folder / "one.log").exists()
    with pytest.raises(ChildEnded) as raised:
        worker.check()
    assert raised.value.code == 256 - signal.SIGKILL  # as the supervisor passes it on


def test_ended_returns_when_the_process_is_gone() -> None:
    # Somebody else's child: the shell's, which reaps it.
    shell = subprocess.Popen(
        ["sh", "-c", f'"{sys.executable}" -c "import time; time.sleep(0.3)" & echo $!; wait'],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    with shell.stdout as told:
        pid = int(told.readline())
    ended(pid, poll_seconds=0.01)
    assert shell.wait(10) == 0
