"""The command that judges another policy from the log."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agents.options import milliseconds_of, quiet
from state.errors import SetupError
from stream.config import load_settings
from stream.interrupt import Interruptible
from stream.times import now_ms, parse_iso

if TYPE_CHECKING:
    from state.policy.plan import Plan
    from stream.beliefs import Believed, OnProgress
    from stream.offpolicy import Asked, Read, Result, Window

EXAMPLES = (
    "Examples: [bold]freshslate ope --from 7d --policy softmax:temperature=0.3[/], "
    "[bold]freshslate ope --from 2026-11-01 --to 2026-11-08 --policy policy.toml --by scenario,day "
    "--json judged.json --plot judged.png[/], "
    "[bold]freshslate ope --from 3d --policy squarecb:gamma=200,learned=true[/], "
    "[bold]freshslate ope --from 30d --log exported --policy random --positions 3[/]"
)


def ope(
    policy: Annotated[
        str,
        typer.Option(help="A policy such as softmax:temperature=0.3 or linear_ts, or a policy file (.toml)."),
    ],
    since: Annotated[str, typer.Option("--from", help="ISO 8601, or how long ago: 24h, 7d.")] = "7d",
    until: Annotated[str, typer.Option("--to", help="ISO 8601, how long ago, or now.")] = "now",
    mature: Annotated[str, typer.Option(help="How long after its slate feedback counts.")] = "30m",
    positions: Annotated[int | None, typer.Option(min=1, help="Only the first positions of slates.")] = None,
    by: Annotated[str, typer.Option(help="Also by scenario, day, or scenario,day.")] = "",
    log: Annotated[Path | None, typer.Option(help="Folder of freshslate export, instead of Kafka.")] = None,
    result: Annotated[Path | None, typer.Option("--json", help="File to write everything to.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG of estimates beside logged policies.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 1,
) -> None:
    """Would another policy have been better? Judge it from the log alone, with intervals.

    Weighs every logged slate by how probable the policy finds it. Needs slates with their candidates
    (FRESHSLATE_LOG_CANDIDATES) drawn by policies that explore. A policy that learns is judged as it would
    have begun: with what had been learned at --from, for the whole window. What the log cannot answer is
    refused, with what to do; the exit code is then 1.
    """
    from stream.charts import check_charts, plot_judgement  # noqa: PLC0415
    from stream.offpolicy import evaluate_policy, refuse_learning  # noqa: PLC0415 - imports numba
    from stream.screens.offpolicy import print_result  # noqa: PLC0415
    from stream.worker import assignment  # noqa: PLC0415

    quiet()
    out, settings = Console(), load_settings()
    judged, asked, window = _judged(policy), _asked(positions, by, seed), _window(since, until, mature)
    if plot is not None:
        check_charts(plot)
    with _progress(out) as tell:
        if log is not None:
            refuse_learning(judged)
        read = _read(log, window, tell)
        believed = _believed(judged, window, tell)
        known = (*assignment(settings).policies, *judged.policies)
        found = evaluate_policy(read, judged, asked, known=known, believed=believed, on_progress=tell)
    print_result(out, found, policy, window)
    if result is not None:
        _write(result, found, judged, window)
    if plot is not None:
        plot_judgement(found.whole, f"{policy}, from the log", plot)
    if found.refused:
        raise typer.Exit(1)


def _judged(policy: str) -> "Plan":
    from stream.policy_text import parse_policies  # noqa: PLC0415

    try:
        return parse_policies(policy)
    except (ValueError, SetupError) as error:
        raise typer.BadParameter(str(error)) from None


def _asked(positions: int | None, by: str, seed: int) -> "Asked":
    from stream.offpolicy import Asked  # noqa: PLC0415

    divisions = tuple(part.strip() for part in by.split(",") if part.strip())
    if strange := set(divisions) - {"scenario", "day"}:
        message = f"--by knows scenario and day, not {', '.join(sorted(strange))}"
        raise typer.BadParameter(message)
    return Asked(positions, divisions, seed)


def _window(since: str, until: str, mature: str) -> "Window":
    from stream.offpolicy import Window  # noqa: PLC0415

    now = now_ms()
    window = Window(time_of(since, now), time_of(until, now), milliseconds_of(mature))
    if window.since >= window.until:
        message = f"--from {since} is not before --to {until}"
        raise typer.BadParameter(message)
    return window


def _write(path: Path, found: "Result", judged: "Plan", window: "Window") -> None:
    """Everything as JSON."""
    from msgspec import json  # noqa: PLC0415

    from stream.offpolicy import as_json  # noqa: PLC0415

    asked = {
        "policies": {
            scenario: [(one.name, one.version, share) for one, share in arms]
            for scenario, arms in judged.arms.items()
        },
        "from": window.since,
        "to": window.until,
        "mature_ms": window.mature_ms,
    }
    path.write_bytes(json.format(json.encode(as_json(found, asked)), indent=2))


def time_of(text: str, now: int) -> int:
    """Epoch milliseconds of an option: ISO 8601, a duration before `now`, or `now` itself."""
    if text == "now":
        return now
    if re.fullmatch(r"[\d.]+\s*[a-z]+", text):
        return now - milliseconds_of(text)
    try:
        return parse_iso(text)
    except (ValueError, OverflowError):
        message = f"{text!r} is neither ISO 8601, such as 2026-11-01T12:00, nor 24h or the like, nor now"
        raise typer.BadParameter(message) from None


def _read(log: Path | None, window: "Window", tell: "OnProgress") -> "Read":
    """The log from where the options say it is."""
    from stream.offpolicy import read_export, read_topics  # noqa: PLC0415

    if log is not None:
        return read_export(log, window, tell)
    with Interruptible() as until:
        return until.run(read_topics(load_settings(), window, tell))


def _believed(judged: "Plan", window: "Window", tell: "OnProgress") -> "Believed | None":
    """What judged policies that learn would have gone by at the window's start; None where none learns."""
    from state.policy.river_model import learners_of  # noqa: PLC0415
    from stream.beliefs import believed_before  # noqa: PLC0415
    from stream.offpolicy import learning  # noqa: PLC0415

    if not learning(judged):
        return None
    with Interruptible() as until:
        learners = learners_of(judged.policies)
        return until.run(believed_before(load_settings(), window.since, learners=learners, on_progress=tell))


@contextlib.contextmanager
def _progress(out: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar that says what is being done."""
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        bar = progress.add_task("reading the log", total=None)
        yield lambda what, done, total: progress.update(
            bar, description=f"{what} ({done:,})", completed=done, total=total
        )
