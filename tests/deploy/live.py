"""Every query of dashboards and rules, put to a Prometheus that scrapes a live worker, monitor and API."""

import re
import time
from collections.abc import Iterator, Mapping

from deploy.grafana.build import FOLDER
from deploy.grafana.queries import annotations, choices, panels, read_board
from deploy.prometheus.promql import Checker
from deploy.prometheus.server import Prometheus, PrometheusError
from tests.deploy.declared import bounds, known, rules, series

WINDOW = "20s"
"""Of rates: some scrapes of a second each, also where the machine is slow."""
SPEED = 30
"""Of the rules: windows of five minutes are ten seconds."""


ABSENT = {
    "ALERTS": "no alert has to fire",
    "freshslate:reward_per_slate:ratio_1d": "looks at the day before",
    "freshslate_api_keys": "there is no file of keys",
    "freshslate_assignments_ended_total": "no assignment is given up",
    "freshslate_learned_late_total": "nothing comes late",
    "freshslate_learned_until_timestamp_seconds": "nothing matures so soon",
    "freshslate_learning_left_out_total": "nothing is left out",
    "freshslate_policy_file_info": "there is no policy file",
    "freshslate_ranker_info": "there is no ranker",
    "freshslate_ranker_trained_timestamp_seconds": "there is no ranker",
    "freshslate_rules_info": "there is no rules file",
    "freshslate_source_errors_total": "there is no plug-in",
    "freshslate_source_seconds_total": "there is no plug-in",
}
"""Metrics that are not there in this run, each with the reason; everything else has to answer."""


def queries() -> Iterator[tuple[str, str]]:
    """Where each query is, and its PromQL."""
    for path in sorted(FOLDER.glob("*.json")):
        board = read_board(path)
        for panel in panels(board, window=WINDOW):
            yield from ((f"{path.stem}: {panel.title}", expression) for expression, _ in panel.queries)
        yield from ((f"{path.stem}: annotation", expression) for expression in annotations(board))
        yield from ((f"{path.stem}: ${each.name}", each.metric) for each in choices(board))


def refused(prometheus: Prometheus) -> list[str]:
    """Queries and rules that Prometheus cannot evaluate, each with its reason."""
    found = []
    for where, expression in queries():
        try:
            prometheus.query(expression)
        except PrometheusError as error:
            found.append(f"{where}: {error}")
    for group in prometheus.get("rules")["groups"]:
        found += [
            f"{rule['name']}: {rule['lastError']}" for rule in group["rules"] if rule["health"] == "err"
        ]
    return found


def empty(prometheus: Prometheus) -> list[str]:
    """Panels and records that answer nothing, though they ask for no metric that is absent."""
    found = []
    asked = [*queries(), *((rule["record"], rule["record"]) for rule in rules() if "record" in rule)]
    sources = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    for where, expression in asked:
        if expression in ABSENT or prometheus.query(expression):
            continue
        if not ABSENT.keys() & _asked(sources.get(expression, expression), sources):
            found.append(f"{where}: {expression}")
    return found


def strangers(prometheus: Prometheus) -> list[str]:
    """Series whose labels are not those that static checks believe in."""
    expected, found = series(), set()
    for each in prometheus.get("series", **{"match[]": '{job=~"freshslate-.*"}'}):
        name = each.pop("__name__")
        if name in expected and name != "ALERTS" and set(each) != expected[name]:
            found.add(f"{name} has {sorted(each)}, not {sorted(expected[name])}")
    return sorted(found)


def settled(prometheus: Prometheus, seconds: float) -> list[str]:
    """`empty`, once it is: rates need two scrapes, records an evaluation."""
    deadline = time.monotonic() + seconds
    while (left := empty(prometheus)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def _asked(expression: str, sources: Mapping[str, str]) -> set[str]:
    """Metrics that an expression asks for, also through what rules record, without a histogram's suffix."""
    checker = Checker(known(), bounds())
    checker.check(expression)
    found = {re.sub("_(bucket|sum|count)$", "", name) for name in checker.metrics} | checker.metrics
    return found.union(*(_asked(sources[name], sources) for name in checker.metrics & sources.keys()))
