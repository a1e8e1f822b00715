"""The numbers of a run, as JSON, as a table for people and as Markdown for the docs."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.job import JobRound, Spent
from benchmarks.stages import Stages

MISSING: Final = "-"


class WireRound(Struct):
    """One round of the raw wire."""

    rate: float
    """Records per second."""
    cpu_us: float
    """CPU microseconds per record."""
    broker_cpu_us: float | None


class InputReport(Struct):
    """Everything measured on one input."""

    name: str
    source: str
    workers: int
    history: int
    warm_up: int
    events: int
    """Per round."""
    payload_bytes: int
    """Mean size of a slate, and of what the wire writes."""
    wire: list[WireRound]
    jobs: dict[str, list[JobRound]]
    """By processing guarantee."""
    spent: dict[str, Spent | None]
    faust: list[float]
    """Events per second of stock faust with the trivial step, by round; empty where it was left out."""
    stages: Stages | None


class Report(Struct):
    """One run."""

    machine: dict[str, str]
    partitions: int
    load_before: float
    """Load average of the machine over the minute before the run."""
    load_after: float
    inputs: list[InputReport]


class Row(Struct):
    """One line of the table: medians over rounds."""

    input: str
    variant: str
    rate: float
    share: float
    """Of the wire's rate."""
    spread: tuple[float, float]
    """Lowest and highest round."""
    workers: int
    x_faust: float | None
    """All workers' rate as a multiple of stock faust's with the trivial step."""
    cpu_us: float | None
    broker_cpu_us: float | None
    others_cores: float | None = None
    spent: Spent | None = None

    @property
    def per_core(self) -> float | None:
        """Events per second and core that the loop really used."""
        return 1e6 / self.cpu_us if self.cpu_us else None


HEADER: Final = (
    "input",
    "loop",
    "workers",
    "events/s",
    "lowest",
    "highest",
    "of wire",
    "per core",
    "x faust",
    "worker CPU",
    "broker CPU",
    "others",
    "step",
    "commit",
    "apply",
    "cycle",
)


def rows(report: Report) -> list[Row]:
    """The table's lines: the wire first, then each guarantee."""
    lines = []
    for given in report.inputs:
        wire = median(each.rate for each in given.wire)
        rates = [each.rate for each in given.wire]
        faust = median(given.faust) if given.faust else None
        lines.append(
            Row(
                given.name,
                "wire",
                wire,
                1.0,
                (min(rates), max(rates)),
                1,
                wire / faust if faust else None,
                median(each.cpu_us for each in given.wire),
                middle(each.broker_cpu_us for each in given.wire),
            )
        )
        for guarantee, rounds in given.jobs.items():
            rates = [each.rate for each in rounds]
            lines.append(
                Row(
                    given.name,
                    guarantee,
                    median(rates),
                    median(rates) / wire,
                    (min(rates), max(rates)),
                    given.workers,
                    given.workers * median(rates) / faust if faust else None,
                    middle(each.worker_cpu_us for each in rounds),
                    middle(each.broker_cpu_us for each in rounds),
                    middle(each.others_cores for each in rounds),
                    given.spent.get(guarantee),
                )
            )
    return lines


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what was measured; None where nothing was."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def cells(row: Row) -> list[str]:
    """One line as text, in the order of `HEADER`."""
    spent = row.spent
    return [
        row.input,
        row.variant.replace("_", " "),
        str(row.workers),
        f"{row.rate:,.0f}",
        f"{row.spread[0]:,.0f}",
        f"{row.spread[1]:,.0f}",
        f"{100 * row.share:.1f} %",
        number(row.per_core),
        MISSING if row.x_faust is None else f"{row.x_faust:.1f}",
        number(row.cpu_us),
        number(row.broker_cpu_us),
        MISSING if row.others_cores is None else f"{row.others_cores:.2f}",
        number(spent.step if spent else None),
        number(spent.commit if spent else None),
        number(spent.apply if spent else None),
        number(spent.events / spent.cycles if spent else None),
    ]


def number(value: float | None) -> str:
    """To one digit below ten, whole above."""
    if value is None:
        return MISSING
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def stage_cells(stages: Mapping[str, Stages]) -> list[list[str]]:
    """One line per stage, one column per input; the stages' sum last."""
    names = list(dict.fromkeys(name for each in stages.values() for name in each.by_stage))
    lines = [[name, *(f"{each.by_stage[name]:.1f}" for each in stages.values())] for name in names]
    lines.append(["all, without stopwatches", *(f"{each.total:.1f}" for each in stages.values())])
    return lines


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    rule = ["---" if n == 0 else "---:" for n in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))


def tables(report: Report) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Title, header and lines of each table."""
    stages = {each.name: each.stages for each in report.inputs if each.stages is not None}
    result: list[tuple[str, Sequence[str], list[list[str]]]] = [
        (
            "Per worker, medians; CPU, step, commit, apply: us/event; others: cores; cycle: events",
            HEADER,
            [cells(row) for row in rows(report)],
        )
    ]
    if stages:
        header = ["stage, us/event", *stages]
        result.append(("In this process, no broker", header, stage_cells(stages)))
    return result


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    for key, value in report.machine.items():
        console.print(f"{key:16}{value}", highlight=False)
    console.print(
        f"load average {report.load_before:.2f} before, {report.load_after:.2f} after", highlight=False
    )
    for given in report.inputs:
        console.print(
            f"{given.name}: {given.source}; {given.history} known beforehand, {given.warm_up} to warm up, "
            f"{given.events} a round, slates of {given.payload_bytes} bytes",
            highlight=False,
        )
    for title, header, lines in tables(report):
        print_table(console, title, header, lines)


def print_table(console: Console, title: str, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print one table; numbers to the right."""
    table = Table(title=title, box=None, title_justify="left", header_style="bold")
    for n, name in enumerate(header):
        table.add_column(name, justify="left" if n == 0 else "right")
    for line in lines:
        table.add_row(*line)
    console.print(table)


def as_markdown(report: Report) -> str:
    """All tables as Markdown."""
    return "\n\n".join(markdown(header, lines) for _, header, lines in tables(report))


def as_json(report: Report) -> bytes:
    """The whole report, with its table's medians."""
    everything = {**msgspec.to_builtins(report), "medians": msgspec.to_builtins(rows(report))}
    return msgspec.json.format(msgspec.json.encode(everything), indent=2)
