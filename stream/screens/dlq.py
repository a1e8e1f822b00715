"""Dead letters on a terminal. Nothing that shops sent is printed as it is: it could be a command to it."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.dead_letter import LAST_ADDED
from stream.letters import Found, Kind, Letter
from stream.redrive import Progress
from stream.screens.counting import CountingScreen
from stream.screens.replay import moment

LEFT_OUT: Final = frozenset({LAST_ADDED, "dlq.reason", "dlq.exception"})
"""Added headers that are shown by other words."""


def printable(data: bytes | str | None) -> str:
    r"""Text that a terminal shows as it is: everything else escaped.

    Examples:
        >>> printable(b"caf\xc3\xa9 \x1b[2J\xff\n")
        'café \\x1b[2J\\xff\\n'
    """
    if data is None:
        return "null"
    text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def print_found(console: Console, found: Found, shown: Sequence[Letter]) -> None:
    """Print how many letters wait, by topic and reason, and these of them, a line each."""
    kinds = found.kinds
    if not kinds:
        console.print("no dead letter waits" + _dealt(found), highlight=False)
        return
    console.print(f"{_count(kinds.total())} wait{_dealt(found)}", highlight=False)
    _print_kinds(console, kinds)
    if shown:
        table = Table("letter", "written", "topic", "offset", "reason", "key", "what", box=None)
        for letter in shown:
            table.add_row(
                letter.name,
                moment(letter.time),
                Text(printable(letter.topic)),
                str(letter.source_offset),
                Text(_reason(letter)),
                Text(printable(letter.key)[:40]),
                Text(printable(letter.said.get("dlq.exception", ""))[:160]),
            )
        console.print(table, highlight=False)


def _reason(letter: Letter) -> str:
    return printable(letter.reason) + (f" ({letter.attempt} times)" if letter.attempt > 1 else "")


def print_plan(console: Console, found: Found, kept: Counter[Kind], what: str) -> None:
    """Print what a run does, or would do, with the letters that wait.

    Args:
        console: To print on.
        found: The letters that are meant.
        kept: Of those, what stays, since it would be refused again.
        what: What is done.
    """
    kinds = found.kinds
    console.print(f"{what}: {_count((kinds - kept).total())}{_dealt(found)}", highlight=False)
    _print_kinds(console, kinds - kept)
    if kept:
        console.print(
            f"{_count(kept.total())} would be refused again by these settings and stay; --all sends them too",
            highlight=False,
        )
        _print_kinds(console, kept)


def _print_kinds(console: Console, kinds: Counter[Kind]) -> None:
    table = Table("letters", "topic", "reason", "refused again for", box=None)
    if not any(kind.again for kind in kinds):
        table = Table("letters", "topic", "reason", box=None)
    for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]):
        row = (f"{count:,}", kind.topic, kind.reason, kind.again or "")
        table.add_row(*(Text(printable(cell)) for cell in row[: len(table.columns)]))
    console.print(table, highlight=False)


def _count(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"


def _dealt(found: Found) -> str:
    parts = [f"{count:,} {action} before" for action, count in sorted(found.dealt.items()) if count]
    if found.foreign:
        parts.append(f"{found.foreign:,} records are no letters of ours")
    return f" ({', '.join(parts)})" if parts else ""


def print_letter(console: Console, letter: Letter) -> None:
    """Print everything about one letter, escaped."""
    console.print(Text(f"letter {letter.name}", "bold"))
    rows = [
        ("reason", _reason(letter)),
        ("what", letter.said.get("dlq.exception", "")),
        ("written", f"{moment(letter.time)} by version {letter.said.get(LAST_ADDED, '')}"),
        *((name, value) for name, value in letter.said.items() if name not in LEFT_OUT),
        ("key", letter.key),
        *((f"header {name}", value) for name, value in letter.headers),
        ("value", letter.value),
    ]
    for name, value in rows:
        console.print(Text.assemble((f"  {printable(name)}: ", "dim"), printable(value)), soft_wrap=True)


def letter_json(letter: Letter) -> dict[str, Any]:
    """A letter as plain values; bytes that are no text as `{"base64": ...}`."""
    return {
        "letter": letter.name,
        "partition": letter.partition,
        "offset": letter.offset,
        "time": letter.time,
        "reason": letter.reason,
        "exception": letter.said.get("dlq.exception"),
        "attempt": letter.attempt,
        "added": dict(letter.said),
        "key": _json(letter.key),
        "headers": [[name, _json(value)] for name, value in letter.headers],
        "value": _json(letter.value),
    }


def _json(data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def found_json(found: Found, shown: Iterable[Letter] = ()) -> dict[str, Any]:
    """What waits, as plain values."""
    kinds = found.kinds
    return {
        "waiting": kinds.total(),
        "redriven": found.dealt["redriven"],
        "dropped": found.dealt["dropped"],
        "foreign": found.foreign,
        "counts": [
            {"topic": kind.topic, "reason": kind.reason, "refused_again": kind.again, "letters": count}
            for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1])
        ],
        "letters": [letter_json(letter) for letter in shown],
    }


def run_json(found: Found, done: int, *, dry_run: bool) -> dict[str, Any]:
    """What a run did, or would do, as plain values."""
    waited = found_json(found)
    del waited["letters"]
    return {"dry_run": dry_run, "letters": done, "kept": waited["waiting"] - done, **waited}


class RunScreen(CountingScreen):
    """Shows how far a run is: a bar on a terminal, else a line every few seconds.

    Args:
        console: To print on.
        what: What is done.
    """

    def __init__(self, console: Console, what: str) -> None:
        super().__init__(console)
        self._what = what
        self._last = Progress(0, 0)
        self._task = self._bar.add_task(what, total=None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        done, total = self._last
        if kind is not None and total > done:
            line = f"{self._what}: ended after {done:,} of {total:,}; run it again for the others"
            self._console.print(line, highlight=False)

    def show(self, progress: Progress) -> None:
        """Move the bar, or print a line now and then."""
        self._last = progress
        self._bar.update(self._task, completed=progress.done, total=progress.total)
        self._line(f"{self._what}: {progress.done:,} of {progress.total:,}")
