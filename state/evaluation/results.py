"""What a comparison found: metrics of each configuration with intervals, for all targets and for some.

Intervals are of the 95 % level, by drawing users again (`state.evaluation.bootstrap`); none is given for
fewer than `MIN_USERS` users.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from state.evaluation.bootstrap import ROUNDS, interval, resampled, sums_by_group
from state.evaluation.confidence import MIN_USERS
from state.evaluation.log import Bools
from state.evaluation.metrics import COLD, Targets, judge, scores, spread, targets_of
from state.evaluation.protocols import Questions
from state.retrieval.arrays import Doubles, Ints

ALL: Final = "all"
"""The row of every target."""
ROWS: Final = (ALL, "not seen before", "seen before", "cold", "never learned")
"""Targets that are asked for: all; those that are not in the session or history, and those that are; items
learned fewer than `COLD` times, and never."""


class Row(Struct, frozen=True):
    """Metrics of one configuration over the queries with a target of one kind."""

    predictions: int
    values: Mapping[str, float]
    """By name, such as `hr@20`."""
    ci95: Mapping[str, tuple[float, float]]
    """Of the same; empty where there are too few users."""


class Result(Struct, frozen=True):
    """One configuration."""

    rows: Mapping[str, Row]
    """By the name in `ROWS`; those without a prediction are left out."""
    spread: Mapping[str, float]
    """Coverage and popularity of the lists."""


class Difference(Struct, frozen=True):
    """One metric of one configuration minus that of another, over the same queries."""

    value: float
    ci95: tuple[float, float] | None
    """Above 0, the first is better; None where there are too few users."""


class Results(Struct, frozen=True):
    """All configurations of a comparison."""

    configurations: Mapping[str, Result]
    differences: Mapping[str, Mapping[str, Difference]]
    """The first configuration minus each other one, by that one's name; over all targets."""


def compare_lists(questions: Questions, lists: Mapping[str, Ints], *, seed: int) -> Results:
    """Judge the lists of several configurations, in the order given.

    Args:
        questions: What was asked.
        lists: [n, size] of `protocols.run`, by the configuration's name.
        seed: Of the draws.
    """
    targets = targets_of(questions)
    groups = np.unique(questions.user, return_inverse=True)[1].astype(np.int32)
    learned = np.bincount(
        questions.log.item[: int(questions.learned[-1]) if questions.learned.size else 0],
        minlength=len(questions.log.names),
    )
    cells = {
        (name, row): _cell(targets, each, kept)
        for name, each in lists.items()
        for row, kept in _kinds(targets).items()
    }
    cells = {key: cell for key, cell in cells.items() if np.any(cell[0])}
    names = list(scores(judge(targets, np.zeros((targets.ends.size, 1), np.int32))))
    drawn = _drawn(list(cells.values()), groups, seed)
    rows: dict[str, dict[str, Row]] = {name: {} for name in lists}
    draws: dict[str, Doubles] = {}
    width = len(names) + 1
    for number, ((name, row), (counted, values)) in enumerate(cells.items()):
        part = _ratios(drawn[:, number * width : (number + 1) * width])
        count = int(counted.sum())
        means = values.sum(axis=0) / count
        rows[name][row] = Row(count, dict(zip(names, means.tolist(), strict=True)), _intervals(names, part))
        if row == ALL:
            draws[name] = part
    results = {name: Result(rows[name], spread(each, learned)) for name, each in lists.items()}
    return Results(results, _differences(names, results, draws))


def _kinds(targets: Targets) -> dict[str, Bools | None]:
    kept = (None, ~targets.seen, targets.seen, targets.learned < COLD, targets.learned == 0)
    return dict(zip(ROWS, kept, strict=True))


def _cell(targets: Targets, lists: Ints, kept: Bools | None) -> tuple[Bools, Doubles]:
    """Which queries count [n], and their metrics [n, metrics], 0 where they do not."""
    judged = judge(targets, lists, kept)
    values = np.column_stack(list(scores(judged).values()))
    return judged.counted, values * judged.counted[:, None]


def _drawn(cells: Sequence[tuple[Bools, Doubles]], groups: Ints, seed: int) -> Doubles:
    """[rounds, columns] sums of all cells in each draw; no rounds where there are too few users."""
    if not cells:
        return np.zeros((0, 0))
    sums = sums_by_group(np.hstack([np.column_stack(cell) for cell in cells]), groups)
    return resampled(sums, np.random.default_rng(seed), rounds=ROUNDS if len(sums) >= MIN_USERS else 0)


def _ratios(drawn: Doubles) -> Doubles:
    """[rounds, metrics] means of drawn sums, whose first column counts queries."""
    return drawn[:, 1:] / np.maximum(1.0, drawn[:, :1])


def _intervals(names: Sequence[str], draws: Doubles) -> dict[str, tuple[float, float]]:
    if not draws.size:
        return {}
    return {name: interval(draws[:, column]) for column, name in enumerate(names)}


def _differences(
    names: Sequence[str], results: Mapping[str, Result], draws: Mapping[str, Doubles]
) -> dict[str, dict[str, Difference]]:
    found: dict[str, dict[str, Difference]] = {}
    first, *others = draws or [""]
    for other in others:
        mine, theirs = results[first].rows[ALL].values, results[other].rows[ALL].values
        apart = draws[first] - draws[other]
        found[other] = {
            name: Difference(mine[name] - theirs[name], interval(apart[:, column]) if apart.size else None)
            for column, name in enumerate(names)
        }
    return found


def as_json(results: Results) -> dict[str, Any]:
    """Results for a file: each configuration an object with its metrics by name and `predictions`."""
    return {
        "configurations": {
            name: {
                **_flat(result.rows[ALL]),
                **result.spread,
                "rows": {row: _flat(found) for row, found in result.rows.items() if row != ALL},
            }
            for name, result in results.configurations.items()
            if ALL in result.rows
        },
        "differences": {
            other: {
                name: {"difference": found.value, "ci95": list(found.ci95) if found.ci95 else None}
                for name, found in metrics.items()
            }
            for other, metrics in results.differences.items()
        },
    }


def _flat(row: Row) -> dict[str, Any]:
    return {
        "predictions": row.predictions,
        **row.values,
        "ci95": {name: list(bounds) for name, bounds in row.ci95.items()},
    }
