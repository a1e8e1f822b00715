"""What the demo's screen shows."""

import pytest

from stream.view import STEPS, Counts, Series, Walk, WindowedRatio
from tests.stream.screens.made import event, slate


def test_a_series_keeps_the_latest_samples_oldest_first() -> None:
    series = Series(3)
    assert (series.now, series.last(5), len(series)) == (None, (), 0)
    for value in (1.0, None, 3.0, 4.0):
        series.add(value)
    assert series.last(5) == (None, 3.0, 4.0)
    assert series.last(2) == (3.0, 4.0)
    assert series.last(0) == ()
    assert (series.now, len(series)) == (4.0, 3)


def test_a_windowed_ratio_sums_over_its_window() -> None:
    ratio = WindowedRatio(window=2)
    for part, whole in ((0, 0), (1, 2), (1, 6), (0, 2), (0, 0), (0, 0)):
        ratio.add(part, whole)
    assert ratio.series.last(9) == (None, 0.5, 0.25, 0.125, 0.0, None)


def test_the_first_slate_has_nothing_new_and_no_place() -> None:
    walk = Walk("u")
    assert walk.policy is None
    walk.add(event("a"), slate("b", "c"), 12)
    (step,) = walk.steps
    assert (step.kind, step.item_id, step.place, step.fresh) == ("click", "a", None, frozenset())
    assert (walk.policy, walk.count, walk.hits) == ("softmax", 1, 0)


def test_a_step_knows_what_the_slate_before_had_not_and_where_its_item_stood() -> None:
    walk = Walk("u")
    walk.add(event("a"), slate("b", "c"), 12)
    walk.add(event("c"), slate("c", "d"), 12)
    assert walk.steps[-1].place == 2
    assert walk.steps[-1].fresh == {"d"}
    assert walk.hits == 1


def test_after_an_empty_slate_everything_is_new() -> None:
    walk = Walk("u")
    walk.add(event(None, "search"), slate(), 12)
    walk.add(event("c"), slate("c"), 12)
    assert walk.steps[-1].fresh == {"c"}
    assert walk.steps[-1].place is None


def test_the_events_own_position_counts_before_the_slate_before() -> None:
    walk = Walk("u")
    walk.add(event("a"), slate("b"), 12)
    walk.add(event("b", position=7), slate("c"), 12)
    assert walk.steps[-1].place == 7


def test_a_walk_is_bounded() -> None:
    walk = Walk("u")
    for _ in range(STEPS + 3):
        walk.add(event("a"), slate("a"), 12)
    assert len(walk.steps) == STEPS
    assert walk.count == STEPS + 3


@pytest.mark.parametrize(("lost", "waiting"), [(0, 3), (2, 1), (9, 0)])
def test_what_is_neither_answered_nor_lost_is_waited_for(lost: int, waiting: int) -> None:
    assert Counts(asked=10, answered=7, lost=lost).waiting == waiting
