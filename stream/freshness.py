"""What being late costs: the same test events, answered by models of different age."""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from msgspec.structs import replace

from state.evaluation.results import ALL, Results, Row, as_json
from stream.evaluation import Make, MarkedEvents, OnProgress, Plan, ask, compare_contenders


class Age(NamedTuple):
    """How old the models are."""

    name: str
    protocol: Literal["frozen", "daily", "prequential"]
    late_days: int = 0


AGES: Final = (
    Age("fresh: every event", "prequential"),
    Age("refreshed each midnight", "daily"),
    Age("2 days late", "daily", 2),
    Age("4 days late", "daily", 4),
    Age("frozen at the start", "frozen"),
    Age("7 days late", "daily", 7),
    Age("1 week missing", "frozen", 7),
    Age("2 weeks missing", "frozen", 14),
    Age("4 weeks missing", "frozen", 28),
    Age("8 weeks missing", "frozen", 56),
)
"""From fresh to stale, for a test period of a week."""


class Line(NamedTuple):
    """One age."""

    name: str
    known: Results
    """Test items known from training only, so that every age answers the same queries."""
    everything: Results
    """New items included, where fresh models should gain most."""

    @property
    def rows(self) -> tuple[Row, Row]:
        """Over all targets, of both."""
        known, everything = (
            next(iter(each.configurations.values())).rows[ALL] for each in (self.known, self.everything)
        )
        return known, everything


def freshness(
    events: MarkedEvents, plan: Plan, make: Make, *, on_progress: OnProgress | None = None
) -> Iterator[Line]:
    """Measure every age of `AGES`, one after the other.

    Args:
        events: Read anew for every age.
        plan: What is asked; its protocol, items and lateness are replaced.
        make: The recommender.
        on_progress: Told the name of the age.
    """
    for age in AGES:
        both = []
        for items in ("train", "all"):
            aged = replace(plan, protocol=age.protocol, late_days=age.late_days, items=items)
            makers = {age.name: make}
            both.append(
                compare_contenders(ask(events, aged), makers, seed=plan.seed, on_progress=on_progress)
            )
        yield Line(age.name, *both)


def lines_json(lines: list[Line]) -> list[dict[str, Any]]:
    """Lines for a file."""
    return [
        {
            "models": line.name,
            "known_items": as_json(line.known)["configurations"][line.name],
            "new_items_too": as_json(line.everything)["configurations"][line.name],
        }
        for line in lines
    ]
