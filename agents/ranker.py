"""The commands of the learned ranker."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agents.options import milliseconds_of, quiet
from stream.config import Settings, load_settings
from stream.connection import connection
from stream.interrupt import Interruptible
from stream.topic_check import check_topics
from stream.topics import topic_specs

if TYPE_CHECKING:
    from stream.training import TrainingRules

HOUR_SECONDS = 3600.0


def train_ranker(
    file: Annotated[
        Path | None,
        typer.Argument(help="Events to learn from instead of the log: the next item of a session."),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Of the file, as for replay.")] = "jsonl",
    since: Annotated[str, typer.Option(help="How far back in the log: 90m, 24h, 7d.")] = "7d",
    trees: Annotated[int, typer.Option(min=1, max=1000, help="More cost each slate more.")] = 100,
    save: Annotated[
        Path | None, typer.Option(help="Write the ranker to this file instead of publishing it.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(min=0.01, help="Go on: train again each so many hours, until Ctrl-C.")
    ] = None,
) -> None:
    """Train a ranker on the slates that shoppers answered, and let every worker serve with it.

    Workers take it up without a restart. Needs slates with features (FRESHSLATE_LOG_FEATURES=true), and
    the extra `ranker`, LightGBM. Before there are such slates, train on a file of events.
    """
    from stream.ranker import decode_ranker, publish_ranker  # noqa: PLC0415 - numba takes a second to import
    from stream.screens.ranker import print_card  # noqa: PLC0415
    from stream.training import TrainingRules, load_lightgbm  # noqa: PLC0415

    quiet()
    load_lightgbm()
    settings, out = load_settings(), Console()
    window, rules = milliseconds_of(since), TrainingRules(num_trees=trees)
    if file is None or save is None:
        _check(settings)
    if every is not None:
        _go_on(settings, window, every, rules, out)
        return
    value = (
        _on_log(settings, window, rules, out) if file is None else _on_file(settings, file, form, rules, out)
    )
    print_card(out, decode_ranker(value))
    if save is not None:
        save.write_bytes(value)
        out.print(f"written to {save}", highlight=False)
    else:
        asyncio.run(publish_ranker(settings, value))
        out.print("published: workers take it up with their next cycle")


def _on_log(settings: Settings, window: int, rules: "TrainingRules", out: Console) -> bytes:
    """Train on the decision log with a progress bar."""
    from stream.retrain import train_on_log  # noqa: PLC0415

    with Interruptible() as until, _bar(out, "reading slates and rewards, growing trees") as progress:
        return until.run(train_on_log(settings, window, rules, on_progress=progress))


def _on_file(settings: Settings, file: Path, form: str, rules: "TrainingRules", out: Console) -> bytes:
    """Train on a file with a progress bar."""
    from stream.event_file import EventFile  # noqa: PLC0415
    from stream.retrain import train_on_file  # noqa: PLC0415

    with Interruptible(), _bar(out, f"reading {file.name}, asking, growing trees") as progress:
        return train_on_file(settings, EventFile(file, form), rules, on_progress=progress)


def _go_on(settings: Settings, window: int, hours: float, rules: "TrainingRules", out: Console) -> None:
    """Train and publish until Ctrl-C, which is a good end."""
    from stream.retrain import retrain_for_ever  # noqa: PLC0415
    from stream.screens.ranker import print_card  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with Interruptible() as until, contextlib.suppress(KeyboardInterrupt):
        until.run(
            retrain_for_ever(
                settings,
                window,
                hours * HOUR_SECONDS,
                rules,
                on_ranker=lambda artefact: print_card(out, artefact),
            )
        )


@contextlib.contextmanager
def _bar(out: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; the function it gives is told what is done, of how much."""
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def ranker(
    publish: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Let workers serve with this file.")
    ] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Let the blend serve alone.")] = False,
    save: Annotated[Path | None, typer.Option(help="Write the ranker that serves to this file.")] = None,
) -> None:
    """Show the model card of the ranker that workers serve with, or change which one that is."""
    from stream.ranker import decode_ranker, latest_ranker, publish_ranker  # noqa: PLC0415
    from stream.screens.ranker import print_card  # noqa: PLC0415

    quiet()
    settings, out = load_settings(), Console()
    if publish is not None and withdraw:
        message = "--publish and --withdraw are two answers to one question"
        raise typer.BadParameter(message)
    value = publish.read_bytes() if publish is not None else None
    if value is not None:
        decode_ranker(value)
    _check(settings)
    if publish is not None or withdraw:
        asyncio.run(publish_ranker(settings, value))
    value = asyncio.run(latest_ranker(settings))
    if value is None:
        out.print("no ranker is published: the blend serves")
        return
    print_card(out, decode_ranker(value))
    if save is not None:
        save.write_bytes(value)


def _check(settings: Settings) -> None:
    """What is missing is one line and not a wait."""
    asyncio.run(check_topics(connection(settings), topic_specs(settings)))
