"""Draws every panel of the dashboards from a real Prometheus, one PNG a dashboard, in the layout of its grid.

`python -m deploy.grafana.render --prometheus URL --to FOLDER`: for who has no Grafana at hand, and for the
docs. Queries, units, limits and places are those of the dashboards' JSON; colours and fonts are not.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.grafana.build import FOLDER
from deploy.grafana.panels import FIRING, WIDTH
from deploy.grafana.queries import Panel, headings, panels, read_board
from deploy.prometheus.server import PrometheusError, get

POINTS: Final = 240
"""Of a line."""
MOST_NAMES: Final = 6
"""Series that a legend names."""
MOST_TICKS: Final = 8
"""Of the time axis."""
COLUMN_INCHES: Final = 0.78
ROW_INCHES: Final = 0.36
DPI: Final = 75
COLOURS: Final = 128
_TICKS: Final = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400)
_MISSING: Final = "no data"
_SIZES: Final = ("", "k", "M", "G", "T")


class Span(NamedTuple):
    """What is drawn of time, epoch seconds."""

    start: float
    end: float

    @property
    def step(self) -> float:
        """Seconds between two points; Prometheus takes no less than a millisecond."""
        return max((self.end - self.start) / POINTS, 0.001)


class Line(NamedTuple):
    """One series."""

    name: str
    times: list[float]
    """Seconds since the start of the span."""
    values: list[float]
    """NaN where there is none."""


Ask = Callable[[str, Span], list[dict[str, Any]]]
"""The series of an expression over a span, as Prometheus' query_range answers them."""


def asking(url: str) -> Ask:
    """Questions to the Prometheus at this address."""

    def ask(expression: str, span: Span) -> list[dict[str, Any]]:
        found = get(
            url,
            "query_range",
            query=expression,
            start=f"{span.start:.3f}",
            end=f"{span.end:.3f}",
            step=f"{span.step:.3f}",
        )
        series: list[dict[str, Any]] = found["result"]
        return series

    return ask


def lines(panel: Panel, span: Span, ask: Ask) -> list[Line]:
    """Every series of a panel, named by its legend."""
    found = []
    for expression, legend in panel.queries:
        for series in ask(expression, span):
            name = legend
            for label, value in series["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            at = {round((float(t) - span.start) / span.step): float(v) for t, v in series["values"]}
            places = range(round((span.end - span.start) / span.step) + 1)
            values = [at.get(place, math.nan) for place in places]
            found.append(Line(name, [place * span.step for place in places], values))
    return found


def text_of(value: float, unit: str) -> str:
    """A value with its unit, as short as a tick needs it.

    Examples:
        >>> [text_of(v, "s") for v in (0.0005, 0.25, 90, 7200)]
        ['0.5 ms', '250 ms', '1.5 min', '2 h']
        >>> text_of(0.123, "percentunit"), text_of(1536, "bytes"), text_of(12_000, "ops")
        ('12.3 %', '1.5 KiB', '12 k/s')
    """
    if math.isnan(value) or math.isinf(value):
        return str(value)
    if unit == "percentunit":
        return f"{_short(100 * value)} %"
    if unit == "s":
        return _duration(value)
    base = 1024.0 if unit == "bytes" else 1000.0
    power = int(min(max(math.log(abs(value), base), 0), len(_SIZES) - 1)) if value else 0
    size = _SIZES[power].upper() + "i" if unit == "bytes" and power else _SIZES[power]
    tail = {"bytes": f"{size}B", "ops": f"{size}/s"}.get(unit, size)
    return f"{_short(value / base**power)} {tail}".rstrip()


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1000:.3g} ms" if seconds else "0 s"


def draw(board: dict[str, Any], span: Span, ask: Ask, *, window: str) -> tuple[Any, list[str]]:
    """A dashboard as a figure, and the titles of panels without data.

    Args:
        board: its JSON.
        span: of time.
        ask: the Prometheus.
        window: of rates, such as `1m`.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only here: nothing else needs it

    shown = list(panels(board, window=window))
    rows = max(panel.place[1] + panel.place[3] for panel in shown) + 1
    figure = Figure(figsize=(WIDTH * COLUMN_INCHES, rows * ROW_INCHES), dpi=DPI, facecolor="white")
    figure.text(0.01, 1 - 0.5 / rows, board["title"], fontsize=16, weight="bold", va="center")
    for heading in headings(board):
        figure.text(
            0.01, 1 - (heading.row + 1.5) / rows, heading.title, fontsize=12, weight="bold", va="center"
        )
    fires = [series["values"] for series in ask(f"count({FIRING}) > 0", span)]
    empty = []
    for panel in shown:
        left, top, width, height = panel.place
        place = (left / WIDTH, 1 - (top + height + 1) / rows, width / WIDTH, height / rows)
        found = lines(panel, span, ask)
        if not any(not math.isnan(value) for line in found for value in line.values):
            empty.append(panel.title)
        paint = _paint_number if panel.kind == "stat" else _paint_lines
        paint(figure, place, panel, found)
        if panel.kind != "stat":
            marks = [float(moment) - span.start for values in fires for moment, _ in values]
            _time(figure.axes[-1], marks, span)
    return figure, empty


def _paint_number(figure: Any, place: Sequence[float], panel: Panel, found: list[Line]) -> None:
    left, bottom, width, height = place
    axes = figure.add_axes((left + 0.06 * width, bottom + 0.08 * height, 0.88 * width, 0.8 * height))
    axes.set_xticks([])
    axes.set_yticks([])
    values = [value for value in found[0].values if not math.isnan(value)] if found else []
    text = text_of(values[-1], panel.unit) if values else _MISSING
    colour = "grey" if not values else _colour(values[-1], panel.limits)
    axes.text(0.5, 0.55, text, fontsize=20, color=colour, ha="center", va="center", transform=axes.transAxes)
    axes.set_title(panel.title, fontsize=9)
    if len(values) > 1:
        below = axes.inset_axes((0, 0, 1, 0.3))
        below.plot(found[0].times, found[0].values, color=colour, linewidth=0.8)
        below.axis("off")


def _colour(value: float, limits: tuple[float, ...]) -> str:
    if not limits:
        return "tab:blue"
    passed = sum(value >= limit for limit in limits)
    return ("tab:green", "tab:orange", "tab:red")[min(passed, 2)]


def _paint_lines(figure: Any, place: Sequence[float], panel: Panel, found: list[Line]) -> None:
    left, bottom, width, height = place
    inches = width * figure.get_figwidth()
    gap = 0.75 / inches  # for the texts of the axis, whatever the panel's width
    box = (left + gap * width, bottom + 0.2 * height, (1 - gap - 0.03) * width, 0.7 * height)
    axes = figure.add_axes(box)
    axes.set_title(panel.title, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.3)
    axes.yaxis.set_major_formatter(lambda value, _: text_of(value, panel.unit))
    if not any(not math.isnan(value) for line in found for value in line.values):
        axes.text(0.5, 0.5, _MISSING, color="grey", ha="center", transform=axes.transAxes)
        return
    if panel.is_stacked:
        heights = [[0.0 if math.isnan(v) else v for v in line.values] for line in found]
        axes.stackplot(found[0].times, heights, labels=[line.name for line in found], alpha=0.6)
    else:
        for line in found:
            axes.plot(line.times, line.values, label=line.name, linewidth=1)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    for limit in panel.limits:
        if limit <= axes.get_ylim()[1]:
            axes.axhline(limit, color="tab:red", linestyle=":", linewidth=0.8)
    names = axes.get_legend_handles_labels()
    kept = (names[0][:MOST_NAMES], names[1][:MOST_NAMES])
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "ncols": 3}
    axes.legend(*kept, fontsize=7, frameon=False, **below)


def _time(axes: Any, marks: Sequence[float], span: Span) -> None:
    """Tell the time since the start, and shade the moments at which alerts fired."""
    length = span.end - span.start
    between = next((step for step in _TICKS if length / step <= MOST_TICKS), length / MOST_TICKS)
    axes.set_xlim(0, length)
    axes.set_xticks([place * between for place in range(int(length / between) + 1)])
    axes.xaxis.set_major_formatter(lambda value, _: text_of(value, "s"))
    for moment in marks:
        axes.axvspan(moment, moment + span.step, color="tab:red", alpha=0.07, linewidth=0)


def render(span: Span, ask: Ask, folder: Path, *, window: str) -> dict[str, list[str]]:
    """Draw every dashboard; the titles of panels without data, by dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    empty = {}
    for path in sorted(FOLDER.glob("*.json")):
        figure, empty[path.stem] = draw(read_board(path), span, ask, window=window)
        _save(figure, folder / f"{path.stem}.png")
    return empty


def _save(figure: Any, path: Path) -> None:
    """Write a PNG of few colours, a third as large."""
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib

    figure.savefig(path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS)
    small.save(path, optimize=True)


def main() -> None:
    """Draw the dashboards of a Prometheus that runs."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.grafana.render", description="Draw the dashboards."
    )
    parser.add_argument("--prometheus", default="http://localhost:9090", metavar="URL")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="for the PNGs")
    parser.add_argument("--minutes", type=float, default=60.0, help="how far back (60)")
    parser.add_argument("--end", type=float, default=None, metavar="SECONDS", help="since the epoch (now)")
    parser.add_argument("--window", default="1m", help="of rates (1m): four scrapes at least")
    options = parser.parse_args()
    end = time.time() if options.end is None else options.end
    span = Span(end - 60 * options.minutes, end)
    try:
        empty = render(span, asking(options.prometheus), options.to, window=options.window)
    except PrometheusError as error:
        sys.exit(f"render: {error}")
    for name, titles in empty.items():
        print(f"{options.to / name}.png" + (f", without data: {', '.join(titles)}" if titles else ""))


if __name__ == "__main__":
    main()
