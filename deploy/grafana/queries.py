"""The queries in a dashboard's JSON, as Prometheus takes them; rendering and tests read them here."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

ALL: Final = ".*"
"""What a variable stands for while nobody has chosen."""
_LABEL_VALUES: Final = re.compile(r"label_values\((?P<metric>[\w:]+), (?P<label>\w+)\)")


class Panel(NamedTuple):
    """What is drawn of one panel."""

    title: str
    about: str
    kind: str
    """Grafana's: `stat`, `timeseries`."""
    unit: str
    is_stacked: bool
    limits: tuple[float, ...]
    place: tuple[int, int, int, int]
    """Column, row, width and height on the grid."""
    queries: tuple[tuple[str, str], ...]
    """PromQL and legend."""


class Heading(NamedTuple):
    """The line above some panels."""

    title: str
    row: int


class Choice(NamedTuple):
    """A variable whose choices are the values of a label."""

    name: str
    metric: str
    label: str


def read_board(path: Path) -> dict[str, Any]:
    """A dashboard's JSON."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels(board: Mapping[str, Any], *, window: str = "1m") -> Iterator[Panel]:
    """Every panel that draws something.

    Args:
        board: a dashboard's JSON.
        window: for `$__rate_interval`.
    """
    names = [variable["name"] for variable in board["templating"]["list"]]
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        defaults, at = panel["fieldConfig"]["defaults"], panel["gridPos"]
        steps = defaults.get("thresholds", {}).get("steps", [])
        yield Panel(
            title=panel["title"],
            about=panel["description"],
            kind=panel["type"],
            unit=defaults.get("unit", "short"),
            is_stacked=defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal",
            limits=tuple(step["value"] for step in steps if step["value"] is not None),
            place=(at["x"], at["y"], at["w"], at["h"]),
            queries=tuple(
                (filled(target["expr"], names, window), target["legendFormat"]) for target in panel["targets"]
            ),
        )


def headings(board: Mapping[str, Any]) -> list[Heading]:
    """The lines between panels."""
    return [Heading(p["title"], p["gridPos"]["y"]) for p in board["panels"] if p["type"] == "row"]


def choices(board: Mapping[str, Any]) -> list[Choice]:
    """The variables that ask Prometheus.

    Raises:
        ValueError: one asks in another way than by `label_values`.
    """
    found = []
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = _LABEL_VALUES.fullmatch(variable["query"])
        if match is None:
            message = (
                f"variable {variable['name']} asks {variable['query']!r}, not label_values(metric, label)"
            )
            raise ValueError(message)
        found.append(Choice(variable["name"], match["metric"], match["label"]))
    return found


def annotations(board: Mapping[str, Any]) -> list[str]:
    """What is marked on every panel."""
    return [each["expr"] for each in board["annotations"]["list"] if each.get("expr")]


def filled(expression: str, names: list[str], window: str) -> str:
    """An expression without Grafana's variables: all of everything.

    Examples:
        >>> filled('rate(a{b=~"$b"}[$__rate_interval])', ["b"], "1m")
        'rate(a{b=~".*"}[1m])'
    """
    expression = expression.replace("$__rate_interval", window)
    for name in names:
        expression = re.sub(rf"\${name}\b", ALL, expression)
    return expression
