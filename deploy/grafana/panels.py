"""What a dashboard is made of: charts in rows, with their queries; and how that becomes Grafana's.

A chart says what it shows, in which unit, and which alert looks at the same thing.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as model
from grafana_foundation_sdk.models import dashboard as board

WIDTH: Final = 24
"""Columns of a dashboard."""
LINES_HEIGHT: Final = 8
NUMBER_HEIGHT: Final = 4
TAG: Final = "freshslate"
FIRING: Final = 'ALERTS{alertname=~"Freshslate.*", alertstate="firing"}'
DATASOURCE: Final = board.DataSourceRef(type_val="prometheus", uid="${datasource}")

Form = Literal["lines", "stacked", "number"]


class Query(NamedTuple):
    """One PromQL expression, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str


class Chart(NamedTuple):
    """One panel."""

    title: str
    about: str
    unit: str
    """Of Grafana: `s`, `percentunit`, `short`, `bytes`, `ops`."""
    queries: tuple[Query, ...]
    form: Form = "lines"
    alert: str = ""
    """Name of the alert that looks at the same thing; its page is linked."""
    limits: tuple[float, ...] = ()
    """Where it becomes bad, then where it becomes worse."""


class Variable(NamedTuple):
    """A choice above the dashboard: the values of a label."""

    name: str
    label: str
    metric: str
    """That has the label `name`."""


class Row(NamedTuple):
    """Charts of one matter, side by side."""

    title: str
    charts: tuple[Chart, ...]


class Board(NamedTuple):
    """One dashboard."""

    name: str
    """Its uid is `freshslate-<name>`."""
    title: str
    about: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


SCENARIO: Final = Variable("scenario", "Scenario", "freshslate_slates_total")
POLICY: Final = Variable("policy", "Policy", "freshslate_monitor_slates_total")
INSTANCE: Final = Variable("instance", "Worker", "freshslate_build_info")


def rate(metric: str, by: str = "", where: str = "") -> str:
    """A counter per second, summed over all but the labels `by`."""
    return f"sum{_by(by)} (rate({metric}{_where(where)}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram, over all but the labels `by`."""
    labels = ", ".join(filter(None, ("le", by)))
    inner = f"sum by ({labels}) (rate({metric}_bucket{_where(where)}[$__rate_interval]))"
    return f"histogram_quantile({share}, {inner})"


def quantiles(metric: str, where: str = "", shares: Sequence[float] = (0.5, 0.95, 0.99)) -> tuple[Query, ...]:
    """Several quantiles of a histogram, as one chart shows them."""
    return tuple(Query(quantile(share, metric, where=where), f"p{share * 100:g}") for share in shares)


def mean(metric: str, by: str = "", where: str = "") -> str:
    """The mean of what a histogram has observed."""
    return f"{rate(metric + '_sum', by, where)} / {rate(metric + '_count', by, where)}"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _where(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""


def built(what: Board, docs: str) -> board.Dashboard:
    """The dashboard as Grafana's model.

    Args:
        what: the dashboard.
        docs: where `docs/` is published, for links to alerts.
    """
    made = (
        dashboard.Dashboard(what.title)
        .uid(f"{TAG}-{what.name}")
        .description(what.about)
        .tags([TAG])
        .timezone("browser")
        .tooltip(board.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("30s")
        .version(1)
        .annotation(_alerts())
        .link(_other_boards())
        .link(
            dashboard.DashboardLink("Alerts")
            .type(board.DashboardLinkType.LINK)
            .url("$docs/operations.md#alerts")
        )
    )
    for variable in _variables(what, docs):
        made = made.with_variable(variable)
    number = 0
    for row in what.rows:
        made = made.with_row(dashboard.Row(row.title).id(number := number + 1))
        for chart in row.charts:
            is_last = chart is row.charts[-1]
            width = WIDTH // len(row.charts) + is_last * (WIDTH % len(row.charts))
            made = made.with_panel(_panel(chart, width).id(number := number + 1))
    return made.build()


def _alerts() -> dashboard.AnnotationQuery:
    made = dashboard.AnnotationQuery().name("Alerts that fire").datasource(DATASOURCE)
    return made.enable(True).icon_color("red").expr(FIRING)


def _other_boards() -> dashboard.DashboardLink:
    made = dashboard.DashboardLink("Freshslate").type(board.DashboardLinkType.DASHBOARDS).tags([TAG])
    return made.as_dropdown(True).include_vars(True).keep_time(True)


def _variables(
    what: Board, docs: str
) -> list[dashboard.DatasourceVariable | dashboard.QueryVariable | dashboard.TextBoxVariable]:
    datasource = dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    text = dashboard.TextBoxVariable("docs").label("Docs").default_value(docs)
    about = "Where docs/ of Freshslate is published; links to alerts begin with it."
    chosen = [
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(DATASOURCE)
        .query(f"label_values({variable.metric}, {variable.name})")
        .refresh(board.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(board.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(board.VariableOption(text="All", value="$__all"))
        for variable in what.variables
    ]
    return [datasource, *chosen, text.description(about)]


def _panel(chart: Chart, width: int) -> stat.Panel | timeseries.Panel:
    panel = _empty(chart.form)
    panel = panel.title(chart.title).description(chart.about).unit(chart.unit).datasource(DATASOURCE)
    panel = panel.span(width).height(NUMBER_HEIGHT if chart.form == "number" else LINES_HEIGHT)
    for place, query in enumerate(chart.queries):
        target = (
            prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + place))
        )
        panel = panel.with_target(target.datasource(DATASOURCE))
    if chart.limits:
        panel = panel.thresholds(_limits(chart.limits))
    if chart.alert:
        url = f"$docs/operations.md#{chart.alert.lower()}"
        link = dashboard.DashboardLink(chart.alert).type(board.DashboardLinkType.LINK).url(url)
        panel = panel.links([link.target_blank(True)])
    return panel


def _empty(form: Form) -> stat.Panel | timeseries.Panel:
    if form == "number":
        return _number()
    return _stacked() if form == "stacked" else _lines()


def _number() -> stat.Panel:
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(reduced).graph_mode(model.BigValueGraphMode.AREA)


def _lines() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(model.LegendDisplayMode.LIST).show_legend(True)
    lines = timeseries.Panel().legend(legend.placement(model.LegendPlacement.BOTTOM)).line_width(1)
    return lines.tooltip(common.VizTooltipOptions().mode(model.TooltipDisplayMode.MULTI)).fill_opacity(5)


def _stacked() -> timeseries.Panel:
    return _lines().stacking(common.StackingConfig().mode(model.StackingMode.NORMAL)).fill_opacity(30)


def _limits(limits: tuple[float, ...]) -> dashboard.ThresholdsConfig:
    colours = ("orange", "red")
    steps = [board.Threshold(value=None, color="green")]
    steps += [
        board.Threshold(value=value, color=colour) for value, colour in zip(limits, colours, strict=False)
    ]
    return dashboard.ThresholdsConfig().mode(board.ThresholdsMode.ABSOLUTE).steps(steps)
