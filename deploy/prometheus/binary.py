"""Where the programs `prometheus` and `promtool` are; for tests and benchmarks, which fetch them once.

They come from Debian's package `prometheus`, unpacked into the user's cache and not installed.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CACHE: Final = Path("~/.cache/freshslate").expanduser()
PACKAGE: Final = "prometheus"
FETCH_SECONDS: Final = 180.0


class ToolMissing(Exception):
    """A program is not here, and cannot be fetched."""


def program(name: str, *, cache: Path = CACHE) -> Path:
    """The path of `prometheus` or `promtool`: of this machine, of the cache, or fetched into it now.

    Raises:
        ToolMissing: it is nowhere, and why it cannot be fetched.
    """
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    return _cached(name, cache) or _fetched(name, cache)


def _cached(name: str, cache: Path) -> Path | None:
    found = sorted(cache.glob(f"{PACKAGE}-*/usr/bin/{name}"))
    return found[-1] if found else None


def _fetched(name: str, cache: Path) -> Path:
    for needed in ("apt-get", "dpkg"):
        if shutil.which(needed) is None:
            message = f"{name} is not installed, and without {needed} Debian's package cannot be fetched"
            raise ToolMissing(message)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        package = _downloaded(Path(folder))
        unpacked = Path(folder) / "unpacked"
        _run(["dpkg", "-x", str(package), str(unpacked)], Path(folder))
        target = cache / f"{PACKAGE}-{package.name.split('_')[1]}"
        # Another process may have been faster: its copy is the same.
        if not target.exists():
            unpacked.rename(target)
    found = _cached(name, cache)
    if found is None:
        message = f"Debian's package {PACKAGE} has no program {name}"
        raise ToolMissing(message)
    return found


def _downloaded(folder: Path) -> Path:
    download = ["apt-get", "download", PACKAGE]
    try:
        _run(download, folder)
    except ToolMissing:
        # A container's image comes without package lists.
        _run(["apt-get", "update"], folder)
        _run(download, folder)
    return next(folder.glob(f"{PACKAGE}_*.deb"))


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"{' '.join(command)} took longer than {FETCH_SECONDS:.0f} s"
        raise ToolMissing(message) from None
    if done.returncode:
        message = f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}"
        raise ToolMissing(message)
