"""What is wrong with a PromQL expression, given which metrics there are and which labels they have.

An expression is walked from its selectors up: which labels does each part keep, and does what stands above
ask for labels that are not there? It knows what our dashboards and rules use, and refuses the rest.
"""

import re
from collections.abc import Mapping

import promql_parser as promql
from promql_parser import AggModifierType, LabelModifierType, VectorMatchCardinality

Labels = frozenset[str] | None
"""Of a vector; None of a scalar."""
NONE: frozenset[str] = frozenset()
SET_OPERATORS = {"and", "or", "unless"}


class Checker:
    """Checks expressions; `problems` has what was found.

    Args:
        series: labels by name.
        bounds: of the buckets of histograms, by name.
    """

    def __init__(
        self, series: Mapping[str, frozenset[str]], bounds: Mapping[str, frozenset[float]] | None = None
    ) -> None:
        self._series = series
        self._bounds = bounds or {}
        self.problems: list[str] = []
        self.metrics: set[str] = set()
        """Names of series that were asked for."""
        self.selectors: list[str] = []
        """Selectors, in their order."""

    def check(self, expression: str, legend: str = "") -> Labels:
        """Find what is wrong; the labels of the result."""
        labels = self._labels(promql.parse(expression))
        for name in re.findall(r"{{(\w+)}}", legend):
            if name not in (labels or NONE):
                self.problems.append(f"legend {legend!r}: the result has no label {name}")
        return labels

    def _labels(self, node: object) -> Labels:
        labels: Labels = None
        match node:
            case promql.VectorSelector():
                labels = self._selected(node)
            case promql.MatrixSelector():
                labels = self._selected(node.vector_selector)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                labels = self._labels(node.expr)
            case promql.AggregateExpr():
                labels = self._aggregated(node)
            case promql.Call():
                labels = self._called(node)
            case promql.BinaryExpr():
                labels = self._joined(node)
            case promql.NumberLiteral() | promql.StringLiteral():
                pass
            case _:
                raise NotImplementedError(type(node).__name__)
        return labels

    def _selected(self, node: promql.VectorSelector) -> frozenset[str]:
        name = node.name or ""
        self.metrics.add(name)
        self.selectors.append(node.prettify())
        if name not in self._series:
            self.problems.append(f"there is no metric {name}")
            return NONE
        for matcher in node.matchers.matchers:
            if matcher.name not in self._series[name]:
                self.problems.append(f"{name} has no label {matcher.name}")
            elif matcher.name == "le" and float(matcher.value) not in self._bounds[name]:
                self.problems.append(f"{name} has no bucket up to {matcher.value}")
        return self._series[name]

    def _aggregated(self, node: promql.AggregateExpr) -> Labels:
        inner = self._labels(node.expr) or NONE
        if node.modifier is None:
            return NONE
        asked = frozenset(node.modifier.labels)
        if missing := sorted(asked - inner):
            self.problems.append(f"{node.prettify()}: there is no label {', '.join(missing)}")
        return asked if node.modifier.type == AggModifierType.By else inner - asked

    def _called(self, node: promql.Call) -> Labels:
        arguments = [self._labels(each) for each in node.args]
        match node.func.name:
            case "time" | "scalar":
                return None
            case "vector":
                return NONE
            case "histogram_quantile":
                if "le" not in (arguments[1] or NONE):
                    self.problems.append(f"{node.prettify()}: there is no label le")
                return (arguments[1] or NONE) - {"le"}
            case "absent":
                return frozenset(matcher.name for matcher in node.args[0].matchers.matchers)
        return next((labels for labels in arguments if labels is not None), None)

    def _joined(self, node: promql.BinaryExpr) -> Labels:
        left, right = self._labels(node.lhs), self._labels(node.rhs)
        if left is None or right is None:
            return right if left is None else left
        operator, modifier = str(node.op), node.modifier
        if operator == "or":
            return left | right
        matching = modifier.matching if modifier else None
        if matching is None:
            common = left
            if left != right:
                apart = ", ".join(sorted(left ^ right))
                self.problems.append(f"{node.prettify()}: nothing matches, one side has no label {apart}")
        elif matching.type == LabelModifierType.Include:
            common = frozenset(matching.labels)
            if missing := sorted(common - (left & right)):
                self.problems.append(f"{node.prettify()}: a side has no label {', '.join(missing)}")
        else:
            common = left - frozenset(matching.labels)
        if modifier is not None and modifier.card == VectorMatchCardinality.OneToMany:
            return right
        many = modifier is not None and modifier.card == VectorMatchCardinality.ManyToOne
        return left if many or operator in SET_OPERATORS else common
