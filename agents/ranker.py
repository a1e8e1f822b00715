"""The commands of the learned ranker."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agents.options import milliseconds_of, quiet
from stream.config import Settings, load_settings
from stream.interrupt import Interruptible
from stream.topics import check_topics, topic_specs

HOUR_SECONDS = 3600.0


def train_ranker(
    since: Annotated[str, typer.Option(help="How far back to learn from: 90m, 24h, 7d.")] = "7d",
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
    LightGBM: pip install 'freshslate[ranker]'.
    """
    from stream.ranker import decode_ranker, publish_ranker  # noqa: PLC0415
    from stream.retrain import retrain_for_ever, train_on_log  # noqa: PLC0415 - numba takes a second to import
    from stream.screens.ranker import print_card  # noqa: PLC0415
    from stream.training import TrainingRules, load_lightgbm  # noqa: PLC0415

    quiet()
    load_lightgbm()
    settings, out = load_settings(), Console()
    window, rules = milliseconds_of(since), TrainingRules(num_trees=trees)
    _check(settings)
    if every is not None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        forever = retrain_for_ever(
            settings, window, every * HOUR_SECONDS, rules, on_ranker=lambda made: print_card(out, made)
        )
        with Interruptible() as until, contextlib.suppress(KeyboardInterrupt):
            until.run(forever)
        return
    with Interruptible() as until, Progress(console=out, transient=True) as progress:
        bar = progress.add_task("reading slates and rewards, growing trees", total=None)
        value = until.run(
            train_on_log(
                settings,
                window,
                rules,
                on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
        )
        if save is None:
            until.run(publish_ranker(settings, value))
        else:
            save.write_bytes(value)
    print_card(out, decode_ranker(value))
    out.print("published" if save is None else f"written to {save}", highlight=False)


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
    asyncio.run(check_topics(settings.broker, topic_specs(settings)))
