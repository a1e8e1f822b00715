"""A search's progress: a bar over its seconds on a terminal, and a line for each new best."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from state.retrieval.config import ModelConfig
from stream.tuning import AIMS, Trial, Tuned


class TuningScreen:
    """Shows trials as they end.

    Args:
        console: to print on.
        seconds: budget of the search.
    """

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[best]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("tuning", total=seconds, best="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, trial: Trial, best: Trial) -> None:
        """Move the bar, and print the trial where it is the best so far."""
        spent = time.monotonic() - self._started
        self._bar.update(
            self._task, completed=spent, description=f"tuning, trial {trial.number}", best=told(best.metrics)
        )
        if trial is best:
            self._console.print(
                f"{spent:6.0f} s, trial {trial.number}: {told(trial.metrics)}", highlight=False
            )


def told(metrics: Mapping[str, float]) -> str:
    """What is searched for, as text."""
    return ", ".join(f"{name.upper()} {metrics[name]:.4f}" for name in AIMS)


def print_tuned(console: Console, tuned: Tuned) -> None:
    """Print what a search found: before, after, and every parameter that changed."""
    console.print(
        f"{tuned.trials} trials in {tuned.seconds:.0f} s; start: {told(tuned.start.metrics)}; "
        f"best (trial {tuned.best.number}): {told(tuned.best.metrics)}",
        highlight=False,
    )
    for name, (before, after) in changes(tuned).items():
        console.print(f"  {name}: {_short(before)} -> {_short(after)}", highlight=False)


def changes(tuned: Tuned) -> dict[str, tuple[Any, Any]]:
    """Parameters of the best configuration that differ from the start's: before and after."""
    pairs = {
        name: (getattr(tuned.start.config, name), getattr(tuned.best.config, name))
        for name in ModelConfig.__struct_fields__
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _short(value: float) -> str:
    return f"{value:.4g}"
