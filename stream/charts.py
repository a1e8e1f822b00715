"""Charts of evaluations as PNG; matplotlib is an extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from state.evaluation.offpolicy import Judgement
from state.evaluation.results import ALL, Results, Row
from stream.evaluation import EvaluationError

SIZE: Final = (9.0, 4.5)
"""Inches."""
DPI: Final = 120
MAIN: Final = ("hr@20", "mrr@20")


def check_charts(path: Path) -> None:
    """Find out before a long run whether a chart can be written.

    Raises:
        EvaluationError: matplotlib is missing, or the folder.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError:
        message = "--plot needs matplotlib: pip install 'freshslate[evaluate]'"
        raise EvaluationError(message) from None
    if not path.parent.is_dir():
        message = f"there is no folder {path.parent} to write the chart to"
        raise EvaluationError(message)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    return figure, figure.subplots(1, len(MAIN))


def _whiskers(rows: Sequence[Row], metric: str) -> list[list[float]]:
    bounds = [row.ci95.get(metric, (row.values[metric],) * 2) for row in rows]
    values = [row.values[metric] for row in rows]
    return [
        [max(0.0, value - low) for value, (low, _) in zip(values, bounds, strict=True)],
        [max(0.0, high - value) for value, (_, high) in zip(values, bounds, strict=True)],
    ]


def plot_results(results: Results, title: str, path: Path) -> None:
    """HR and MRR of each configuration as bars, with their intervals as whiskers."""
    figure, both = _figure()
    names = list(results.configurations)
    rows = [result.rows[ALL] for result in results.configurations.values()]
    for axes, metric in zip(both, MAIN, strict=True):
        values = [row.values[metric] for row in rows]
        bars = axes.barh(names, values, xerr=_whiskers(rows, metric), capsize=3)
        axes.bar_label(bars, [f"{value:.4f}" for value in values], padding=8)
        axes.invert_yaxis()
        axes.margins(x=0.25)
        axes.set_xlabel(metric)
    figure.suptitle(title)
    figure.savefig(path)


def plot_freshness(curves: Mapping[str, Sequence[tuple[str, Row]]], path: Path) -> None:
    """HR and MRR by how late the models are, a line each for known items and for all."""
    figure, both = _figure()
    for axes, metric in zip(both, MAIN, strict=True):
        for kind, points in curves.items():
            rows = [row for _, row in points]
            axes.errorbar(
                [name for name, _ in points],
                [row.values[metric] for row in rows],
                yerr=_whiskers(rows, metric),
                marker="o",
                capsize=3,
                label=kind,
            )
        axes.set_ylabel(metric)
        axes.tick_params(axis="x", rotation=60)
        for label in axes.get_xticklabels():
            label.set_ha("right")
        axes.grid(visible=True, alpha=0.3)
    both[0].legend(fontsize="small")
    figure.savefig(path)


def plot_judgement(judgement: Judgement, title: str, path: Path) -> None:
    """What each logged policy earned and each estimator says, with intervals; without refused ones."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    logged = [(f"logged {name}", arm.value, arm.ci95) for name, arm in judgement.arms.items()]
    told = [(name, its.value, its.ci95) for name, its in judgement.estimates.items() if its.value is not None]
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for points, colour in ((logged, "tab:gray"), (told, "tab:blue")):
        values = [value for _, value, _ in points]
        bounds = [ci95 or (value, value) for _, value, ci95 in points]
        whiskers = [
            [value - low for value, (low, _) in zip(values, bounds, strict=True)],
            [high - value for value, (_, high) in zip(values, bounds, strict=True)],
        ]
        names = [name for name, _, _ in points]
        axes.errorbar(values, names, xerr=whiskers, fmt="o", capsize=4, color=colour)
    axes.axvline(judgement.logged.value, color="tab:gray", linestyle="--", linewidth=1)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_xlabel("reward per slate")
    figure.suptitle(title)
    figure.savefig(path)
