"""Charts of a run as PNG, for who looks rather than reads; matplotlib comes with the development tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.percentiles import Row

SIZE: Final = (9.0, 4.5)
"""Inches."""
DPI: Final = 120


def _figure(columns: int = 1) -> Any:
    # Only here: the benchmarks themselves do not need it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    return figure, figure.subplots(1, columns)


def rates(medians: Mapping[str, float], spreads: Mapping[str, tuple[float, float]], path: Path) -> None:
    """Events per second as bars, with the lowest and highest round as whiskers.

    Args:
        medians: by contender, in the order of the bars.
        spreads: lowest and highest, by contender.
        path: of the PNG.
    """
    figure, axes = _figure()
    names = [name.replace("_", " ") for name in medians]
    values = list(medians.values())
    whiskers = [
        [medians[name] - low for name, (low, _) in spreads.items()],
        [high - medians[name] for name, (_, high) in spreads.items()],
    ]
    bars = axes.barh(names, values, xerr=whiskers, color="tab:blue", ecolor="black", capsize=3)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=6)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("events/s, one process, trivial step")
    figure.savefig(path)


def latencies(rows: Sequence[Row], path: Path) -> None:
    """Median and 99th percentile over the rate, a line a contender; both axes logarithmic."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter  # noqa: PLC0415

    figure, both = _figure(2)
    for axes, place, title in zip(both, (0, 2), ("p50", "p99"), strict=True):
        for name in dict.fromkeys(row.contender for row in rows):
            found = [row for row in rows if row.contender == name and not row.overloaded]
            style = "--" if name.endswith("echo") else "-"
            axes.plot(
                [row.rate for row in found],
                [row.percentiles[place] for row in found],
                style,
                marker="o",
                label=name.replace("_", " "),
            )
        axes.set(xscale="log", yscale="log", title=title, xlabel="events/s", ylabel="event to slate, ms")
        axes.set_xticks(sorted({row.rate for row in rows}))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axis.set_minor_locator(NullLocator())
        axes.grid(visible=True, alpha=0.3)
    both[0].legend(fontsize="small")
    figure.savefig(path)
