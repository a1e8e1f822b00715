"""The checker of PromQL finds each kind of mistake that makes a panel silently empty."""

import pytest

from deploy.prometheus.promql import Checker

SERIES = {
    "events_total": frozenset({"job", "instance", "type"}),
    "slates_total": frozenset({"job", "instance", "scenario"}),
    "age_bucket": frozenset({"job", "instance", "le"}),
    "up": frozenset({"job", "instance"}),
}
BOUNDS = {"age_bucket": frozenset({0.5, 1.0})}


def problems(expression: str, legend: str = "") -> list[str]:
    checker = Checker(SERIES, BOUNDS)
    checker.check(expression, legend)
    return checker.problems


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(event_total[5m])", "there is no metric event_total"),
        ('events_total{kind="click"}', "events_total has no label kind"),
        ("sum by (scenario) (rate(events_total[5m]))", "there is no label scenario"),
        ("sum without (scenario) (events_total)", "there is no label scenario"),
        ('age_bucket{le="0.25"}', "age_bucket has no bucket up to 0.25"),
        ("histogram_quantile(0.9, sum(rate(age_bucket[5m])))", "there is no label le"),
        ("events_total / slates_total", "nothing matches, one side has no label scenario, type"),
        ("up + vector(1)", "nothing matches, one side has no label instance, job"),
        ("events_total and on (scenario) slates_total", "a side has no label scenario"),
    ],
)
def test_a_mistake_is_told(expression: str, problem: str) -> None:
    assert len(problems(expression)) == 1
    assert problem in problems(expression)[0]


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ('sum by (type) (rate(events_total{type=~".*"}[5m]))', {"type"}),
        ("sum without (type) (events_total)", {"job", "instance"}),
        ("events_total / on (job, instance) group_left () up", {"job", "instance", "type"}),
        ("up / ignoring (type) group_right () events_total", {"job", "instance", "type"}),
        ("sum(events_total) / (sum(slates_total) > 0)", set()),
        ("histogram_quantile(0.9, rate(age_bucket[5m]))", {"job", "instance"}),
        ("time() - max by (job) (max_over_time(up[1h:1m]))", {"job"}),
        ("events_total and on (instance) slates_total", {"job", "instance", "type"}),
        ('up == 0 or absent(up{job="a"})', {"job", "instance"}),
        ("-up * 2 + scalar(max(up))", {"job", "instance"}),
    ],
)
def test_what_is_right_has_these_labels(expression: str, labels: set[str]) -> None:
    checker = Checker(SERIES, BOUNDS)
    assert checker.check(expression) == labels
    assert checker.problems == []


def test_a_legend_names_labels_of_the_result() -> None:
    assert problems("sum by (type) (events_total)", "{{type}}") == []
    assert problems("sum by (type) (events_total)", "{{instance}}") != []


def test_what_was_asked_for_is_remembered() -> None:
    checker = Checker(SERIES, BOUNDS)
    checker.check("events_total / on (job, instance) group_left () up")
    assert checker.metrics == {"events_total", "up"}
    assert checker.selectors == ["events_total", "up"]


def test_an_expression_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        Checker(SERIES)._labels(object())
