"""One frame of the live demo, fitted to the terminal: flow, effect, one shopper, and the workers."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from state.evaluation.confidence import Comparison
from stream.screens import figures
from stream.screens.figures import Glyphs, glyphs_of, highest, logarithmic, sparkline
from stream.screens.slate import cut, legend, step_lines
from stream.view import DemoView, Effect, Flow, Percentiles, Walk, WorkerRow

HEIGHT: Final = 40
"""Lines that a frame never exceeds, however tall the terminal is."""
TALL: Final = 25
"""Lines below the bar from which a frame has every row of its sections."""
STEPS: Final = 8
"""Steps of the shopper in a frame, where there is room."""
LABEL: Final = 17
FIGURE: Final = 9
"""Columns of a row's name and of a number."""
STYLES: Final[Mapping[str, str]] = {
    "serving": "green",
    "starting": "yellow",
    "restarting": "yellow",
    "killed": "bold red",
}


class Dashboard:
    """A frame.

    Args:
        view: what it shows.
        note: what is being done now.
    """

    def __init__(self, view: DemoView, note: str = "") -> None:
        self._view = view
        self._note = note

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = Rows(glyphs_of(console), options.max_width)
        height = min(HEIGHT, options.height or options.size.height)
        yield rows.title()
        yield from self._bar(console, options)
        yield from frame(rows, self._view, self._note, height - 2)

    def _bar(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view = self._view
        elapsed = max(0.0, min(view.elapsed, view.seconds))
        left = Text(f" {elapsed:.0f} of {view.seconds:.0f} s ", end="")
        right = Text(f" aims at {view.rate:,.0f} events/s", "dim", end="")
        width = options.max_width - left.cell_len - right.cell_len
        bar = ProgressBar(total=max(view.seconds, 1e-9), completed=elapsed, width=width)
        for part in (left, bar, right) if width > 0 else (left,):
            yield from console.render(part, options.update(height=None))
        yield Segment.line()


def frame(rows: "Rows", view: DemoView, note: str, height: int) -> list[Text]:
    """Everything below the progress bar, in at most `height` lines; the last are cut."""
    above = [rows.passing(view.events, view.slates, view.latency), rows.helping(view.effect)]
    if height < TALL:
        above = [above[0][:2] + above[0][3:], above[1][:4] + above[1][-2:]]
    below = rows.workers(view, limit=height // 5)
    if note:
        below.append(rows.fit(Text(f" {note.splitlines()[0]}", "dim")))
    free = height - sum(map(len, (*above, below)))
    sections = [*above, rows.walking(view.walk, min(STEPS, max(1, free - 2))), below]
    spare = height - sum(map(len, sections))
    gap = [Text()] if spare >= len(sections) else []
    return [line for section in sections for line in (*gap, *section)][:height]


class Rows:
    """The parts of a frame, as lines.

    Args:
        glyphs: to draw with.
        width: columns that no line exceeds.
    """

    def __init__(self, glyphs: Glyphs, width: int) -> None:
        self._glyphs = glyphs
        self._width = width

    def title(self) -> Text:
        """What this is."""
        told = f" {self._glyphs.dot} a simulated shop on a real Kafka: a click changes the next slate"
        return self.fit(Text.assemble((" Freshslate", "bold"), told))

    def passing(self, events: Flow, slates: Flow, latency: Percentiles) -> list[Text]:
        """Throughput and latency: now, over time, and in the whole."""
        glyphs = self._glyphs
        columns = max(1, self._width - LABEL - 2 * FIGURE - 5)
        lines = [self._heading("now, second by second, and in all")]
        for name, flow in (("events/s", events), ("slates/s", slates)):
            line = sparkline(flow.per_second.last(columns), glyphs)
            now = figures.count(flow.per_second.now, glyphs)
            lines.append(self._moving(name, now, line, whole=figures.count(flow.total, glyphs)))
        slow, slower = (logarithmic(series.last(columns)) for series in (latency.p50, latency.p99))
        top = highest(slow, slower)
        for name, series, row, run in (
            ("p50", latency.p50, slow, latency.run_p50),
            ("p99", latency.p99, slower, latency.run_p99),
        ):
            label = f"event {glyphs.arrow} slate {name}"
            line = sparkline(row, glyphs, high=top)
            now, whole = (figures.milliseconds(value, glyphs) for value in (series.now, run))
            lines.append(self._moving(label, now, line, whole=whole))
        return lines

    def helping(self, effect: Effect) -> list[Text]:
        """Learned against random, so far and over time."""
        return [self._heading("does it help, so far?"), *self.comparison(effect), *self.trend(effect)]

    def comparison(self, effect: Effect) -> list[Text]:
        """Learned against random over the whole run, one row a measure."""
        glyphs = self._glyphs
        head = Text(f" {'':<{LABEL}}{'learned':>{FIGURE}}{'random':>{FIGURE}}   lift (95 % interval)", "dim")
        lines = [head]
        for name, compared, told in (
            ("CTR", effect.ctr, figures.percent),
            ("revenue/session", effect.revenue, figures.amount),
            ("conversion", effect.conversion, figures.percent),
        ):
            learned, random = (compared.learned, compared.random) if compared else (None, None)
            line = self._pair(name, told(learned, glyphs), told(random, glyphs))
            line.append(figures.lift(compared), _style(compared))
            lines.append(line)
        shares = effect.oracle
        line = self._pair(
            "share of best CTR",
            figures.percent(shares.learned if shares else None, glyphs),
            figures.percent(shares.random if shares else None, glyphs),
        )
        line.append("100 %: perfect slates, by true tastes", "dim")
        return [self.fit(each) for each in (*lines, line)]

    def trend(self, effect: Effect) -> list[Text]:
        """CTR over time, both on one scale."""
        columns = max(1, self._width - LABEL - FIGURE - 4)
        learned, random = (
            series.last(columns) if series else () for series in (effect.ctr_learned, effect.ctr_random)
        )
        top = highest(learned, random)
        return [
            self._moving(
                name,
                figures.percent(row[-1] if row else None, self._glyphs),
                sparkline(row, self._glyphs, high=top),
                style=style,
            )
            for name, row, style in (
                ("CTR trend learned", learned, "green"),
                ("CTR trend random", random, "yellow"),
            )
        ]

    def walking(self, walk: Walk | None, steps: int) -> list[Text]:
        """One shopper's latest steps, newest last; always `steps + 2` lines."""
        name, told = "one shopper", list[Text]()
        if walk is not None:
            name += f": {cut(walk.shopper, 30, self._glyphs)}"
            name += f", slates by policy {walk.policy}" if walk.policy else ""
            told = step_lines([*walk.steps][-steps:], self._glyphs, self._width)
        rest = [Text()] * (steps - len(told))
        return [self._heading(name), self.fit(Text(" ").append_text(legend())), *told, *rest]

    def workers(self, view: DemoView, *, limit: int) -> list[Text]:
        """At most `limit` workers, and what became of the events."""
        kills = view.counts.kills
        killed = f", {figures.counted(kills, 'kill')} so far" if kills else ""
        head = f" {'name':<14}{'pid':>8}  {'state':<11}{'restarts':>8}{'events':>10}  partitions"
        shown = view.workers if len(view.workers) <= limit else view.workers[: max(0, limit - 1)]
        lines = [self._heading(f"workers{killed}"), self.fit(Text(head, "dim")), *map(self._worker, shown)]
        if len(shown) < len(view.workers):
            lines.append(Text(f" and {len(view.workers) - len(shown)} more", "dim"))
        return [*lines, self._counts(view)]

    def _worker(self, worker: WorkerRow) -> Text:
        glyphs = self._glyphs
        line = Text(f" {cut(worker.name, 13, glyphs):<14}")
        line.append(f"{glyphs.unknown if worker.pid is None else worker.pid:>8}  ", "dim")
        line.append(f"{worker.state:<11}", STYLES.get(worker.state, ""))
        line.append(f"{worker.restarts:>8}{figures.count(worker.events, glyphs):>10}  ")
        line.append(figures.ranges(worker.partitions or (), glyphs))
        return self.fit(line)

    def _counts(self, view: DemoView) -> Text:
        counts = view.counts
        line = Text(f" answered {counts.answered:,} of {counts.asked:,}  waiting {counts.waiting:,}")
        for name in ("lost", "duplicates", "dead_letters"):
            value = getattr(counts, name)
            line.append(f"  {name.replace('_', ' ')} {value:,}", "bold red" if value else "bold green")
        return self.fit(line)

    def _pair(self, name: str, learned: str, random: str) -> Text:
        return Text(f" {name:<{LABEL}}{learned:>{FIGURE}}{random:>{FIGURE}}   ")

    def _moving(self, name: str, now: str, line: str, *, whole: str = "", style: str = "cyan") -> Text:
        """A row of name, number, sparkline, and what the whole run has."""
        text = Text(f" {name:<{LABEL}}{now:>{FIGURE}}  ")
        text.append(line, style)
        if whole:
            text.pad_right(max(0, self._width - text.cell_len - FIGURE - 1))
            text.append(f"{whole:>{FIGURE}}", "dim")
        return self.fit(text)

    def _heading(self, name: str) -> Text:
        rule = self._glyphs.rule
        text = Text.assemble((rule * 2, "dim"), (f" {name} ", "bold"))
        text.append(rule * max(0, self._width - text.cell_len), "dim")
        return self.fit(text)

    def fit(self, text: Text) -> Text:
        """The text as one line that never wraps."""
        text.no_wrap, text.overflow = True, "crop"
        text.truncate(self._width)
        return text


def _style(compared: Comparison | None) -> str:
    if not figures.is_told_apart(compared):
        return ""
    return "bold green" if compared and (compared.lift or 0) > 0 else "bold red"
