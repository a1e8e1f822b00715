"""Where Prometheus' programs come from."""

import subprocess
from pathlib import Path

import pytest

from deploy.prometheus import binary
from deploy.prometheus.binary import ToolMissing, program


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary.shutil, "which", lambda name: None)


def test_an_installed_program_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(binary.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert program("promtool", cache=tmp_path) == Path("/usr/bin/promtool")


@pytest.mark.usefixtures("nothing_installed")
def test_a_fetched_program_is_found_in_the_cache(tmp_path: Path) -> None:
    there = tmp_path / "prometheus-2.42.0" / "usr" / "bin" / "promtool"
    there.parent.mkdir(parents=True)
    there.touch()
    assert program("promtool", cache=tmp_path) == there


@pytest.mark.usefixtures("nothing_installed")
def test_where_nothing_can_be_fetched_the_error_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="promtool is not installed, and without apt-get"):
        program("promtool", cache=tmp_path)


def test_a_package_is_fetched_once_also_from_an_image_without_lists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[str] = []

    def run(command: list[str], cwd: Path, **_: object) -> "subprocess.CompletedProcess[str]":
        ran.append(" ".join(command[:2]))
        if command[0] == "dpkg":
            folder = Path(command[3]) / "usr" / "bin"
            folder.mkdir(parents=True)
            (folder / "promtool").touch()
        elif command[1] == "download":
            if "apt-get update" not in ran:
                return subprocess.CompletedProcess(command, 100, "", "no such package")
            (cwd / "prometheus_2.42.0_amd64.deb").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    tools = {"apt-get", "dpkg"}
    monkeypatch.setattr(binary.shutil, "which", lambda name: name if name in tools else None)
    monkeypatch.setattr(binary.subprocess, "run", run)
    found = program("promtool", cache=tmp_path)
    assert found == tmp_path / "prometheus-2.42.0" / "usr" / "bin" / "promtool"
    assert ran == ["apt-get download", "apt-get update", "apt-get download", "dpkg -x"]
    assert program("promtool", cache=tmp_path) == found
    assert len(ran) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["prometheus-2.42.0"]


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="no such thing"):
        binary._run(["sh", "-c", "echo no such thing >&2; exit 3"], tmp_path)
