import numpy as np
import pytest

from state.models import Models
from state.retrieval.hour import HOURS, hour_of, hour_weights, new_hours
from tests.state.retrieval.reference import Reference, scaled
from tests.state.retrieval.shops import (
    CLICK,
    DAY,
    PURCHASE,
    T,
    close,
    make_delta,
    make_interactions,
    show_everything,
    source_scores,
)

SOURCE = "hour"
HOUR = DAY // HOURS
NOON = T - T % DAY + 12 * HOUR


def learned(interactions: list, **changes: float) -> Models:
    models = Models(show_everything(**changes))
    models.learn([make_delta(interactions)])
    return models


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_formula(seed: int) -> None:
    interactions = make_interactions(seed, events=2000)
    models, reference = learned(interactions), Reference(show_everything())
    reference.learn(interactions)
    for hour in range(HOURS):
        now = NOON + 40 * DAY + hour * HOUR
        assert close(source_scores(models, SOURCE, now=now), scaled(reference.hour(now)))


def test_what_is_popular_at_noon_is_not_at_midnight() -> None:
    models = learned([("lunch", 1, NOON, CLICK), ("bed", 2, NOON + 12 * HOUR, CLICK)])
    assert source_scores(models, SOURCE, now=NOON + 3 * DAY + HOUR - 1) == {"lunch": 1.0}
    assert source_scores(models, SOURCE, now=NOON + 3 * DAY - 12 * HOUR) == {"bed": 1.0}


def test_a_time_that_nobody_knows_has_no_hour() -> None:
    assert source_scores(learned([("a", 1, 5, CLICK)]), SOURCE, now=0) == {}


def test_newer_and_weightier_interactions_count_more() -> None:
    interactions = [("a", 1, NOON, CLICK), ("b", 2, NOON, PURCHASE), ("c", 3, NOON + 14 * DAY, CLICK)]
    found = source_scores(learned(interactions, hour_decay_days=14.0), SOURCE, now=NOON)
    assert found == pytest.approx({"a": 1 / 6, "b": 1.0, "c": np.e / 6})


def test_a_full_hour_gives_up_its_weakest_item() -> None:
    interactions = [(name, 1, NOON, CLICK) for name in "aabcd"]
    assert set(source_scores(learned(interactions, hour_targets=2), SOURCE, now=NOON)) == {"a", "d"}


def test_hours_that_weigh_nothing_are_not_learned() -> None:
    models = learned([("a", 1, NOON, CLICK)], hour_weight=0.0)
    assert source_scores(models, SOURCE, now=NOON) == {}
    assert new_hours(models.config).target.shape == (HOURS, 0)
    assert models.config.folded() != show_everything().folded()


def test_hours_are_those_of_utc() -> None:
    assert [hour_of(time) for time in (0, HOUR - 1, HOUR, DAY - 1, DAY)] == [0, 0, 1, 23, 0]
    assert hour_weights(show_everything(hour_decay_days=2.0)).decay == 2 * DAY
