"""Older versions of this repository, checked out beside it: what they know, and how their worker starts."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.processes import ROOT, BenchmarkError
from stream.audit import Differences
from stream.child import WORKER, environment
from stream.config import Settings

SCRIPT: Final = Path(__file__).with_name("version_side.py")
ASK_SECONDS: Final = 120.0


class Code(NamedTuple):
    """One version's code, run by this interpreter."""

    name: str
    """Commit, or `today`."""
    date: str
    """Of the commit, ISO 8601; empty for today's."""
    root: Path
    knows: frozenset[str]
    """Names of its settings."""

    @property
    def worker(self) -> list[str]:
        """The command of its worker."""
        return ["env", f"--chdir={self.root}", f"PYTHONPATH={self.root}", *WORKER]

    def settings(self, wanted: Mapping[str, Any]) -> Settings:
        """Those of `wanted` that it knows: one that it does not know would stop it."""
        return Settings(**{name: value for name, value in wanted.items() if name in self.knows})

    def create_topics(self, settings: Settings) -> list[str]:
        """Create topics as it does; those that were missing."""
        return list(ask(self.root, "topics", variables=environment(settings)))

    def sees(self, found: Differences) -> dict[str, dict[str, int]]:
        """What it sees of differences that today's audit found; `benchmarks.version_side`."""
        given = {"profiles": found.profiles, "rewards": paired(found)}
        return dict(ask(self.root, "differences", given=msgspec.msgpack.encode(given)))


def ask(root: Path, question: str, *, given: bytes = b"", variables: Mapping[str, str] | None = None) -> Any:
    """Let the code in `root` answer.

    Raises:
        BenchmarkError: it cannot.
    """
    answered = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), question],
        cwd=root,
        env={**os.environ, **(variables or {}), "PYTHONPATH": str(root)},
        input=given,
        capture_output=True,
        timeout=ASK_SECONDS,
        check=False,
    )
    if answered.returncode:
        message = f"{root} does not answer {question!r}:\n{answered.stderr.decode(errors='replace')[-3000:]}"
        raise BenchmarkError(message)
    return msgspec.json.decode(answered.stdout.splitlines()[-1])


def paired(found: Differences) -> list[tuple[bytes | None, bytes | None]]:
    """Rewards of one id, as folded and as found; those of one side alone with None.

    >>> from collections import Counter
    >>> missing, excess = [b'{"reward_id":"1","a":1}', b'{"reward_id":"2"}'], [b'{"reward_id":"1","a":2}']
    >>> paired(Differences(rewards=[(Counter(missing), Counter(excess))]))
    [(b'{"reward_id":"1","a":1}', b'{"reward_id":"1","a":2}'), (b'{"reward_id":"2"}', None)]
    """
    pairs: list[tuple[bytes | None, bytes | None]] = []
    for missing, excess in found.rewards:
        folded, there = _by_id(missing), _by_id(excess)
        for name in sorted(folded.keys() | there.keys()):
            left, right = folded.get(name, []), there.get(name, [])
            length = max(len(left), len(right))
            pairs += zip(_filled(left, length), _filled(right, length), strict=True)
    return pairs


def _by_id(rewards: Counter[bytes]) -> dict[str, list[bytes]]:
    by_id: dict[str, list[bytes]] = {}
    for value in rewards.elements():
        by_id.setdefault(msgspec.json.decode(value)["reward_id"], []).append(value)
    return by_id


def _filled(values: Sequence[bytes], length: int) -> list[bytes | None]:
    return [*values, *[None] * (length - len(values))]


def today() -> Code:
    """This tree."""
    return Code("today", "", ROOT, frozenset(Settings.model_fields))


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Code]:
    """An older commit in a work tree of its own below `folder`, gone at the end of the block.

    Raises:
        BenchmarkError: git does not know the commit, or its code does not run with this interpreter.
    """
    told = git("show", "--no-patch", "--format=%h %cI", f"{commit}^{{commit}}").split()
    name, date = told[0], told[1]
    root = folder / name
    git("worktree", "add", "--detach", str(root), name)
    try:
        yield Code(name, date, root, frozenset(ask(root, "settings")))
    finally:
        git("worktree", "remove", "--force", str(root))


def git(*arguments: str) -> str:
    """Run git here.

    Raises:
        BenchmarkError: it fails, with what it says.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        message = "git is not installed: older commits cannot be checked out"
        raise BenchmarkError(message) from error
    if done.returncode:
        message = f"git {' '.join(arguments)}: {done.stderr.strip()}"
        raise BenchmarkError(message)
    return done.stdout
