"""The simulated shop as the realism benchmark runs it: short, but through the real engine."""

import pytest

from benchmarks.shops import answered, left_alone
from state.simulation.config import demo_config

SECONDS = 6
STEP_MS = 100


@pytest.fixture(scope="module")
def config():
    return demo_config(200.0)


def test_the_shop_left_alone_browses_sees_slates_and_has_categories(config):
    column = left_alone("shop", config, seconds=SECONDS, seed=1, step_ms=STEP_MS)
    found = column.traffic
    assert set(found.types) >= {"impression", "view", "click", "add_to_cart"}
    assert found.categories.n > 10
    assert found.slates.clicks_at[0] > 0
    assert "less than a day" in column.lacks.values()


def test_the_engine_answers_shoppers_who_see_and_click_what_it_chose(config):
    found = answered("shop", config, seconds=SECONDS, seed=1, step_ms=STEP_MS).traffic
    assert found.slates.shown > 100
    assert found.slates.clicked is not None
    assert 0.0 < found.slates.clicked < 0.9


def test_the_same_seed_gives_the_same_column_and_another_one_does_not(config):
    first, again, other = (
        answered("shop", config, seconds=2, seed=seed, step_ms=STEP_MS).traffic for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
