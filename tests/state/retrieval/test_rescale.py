import numpy as np
import pytest

from state.models import Models
from state.retrieval.rescale import rescale
from state.retrieval.weights import model_weights
from tests.state.retrieval.shops import DAY, make_delta, make_interactions, show_everything


def test_everything_ages_by_its_own_decay() -> None:
    config = show_everything()
    models = Models(config)
    models.learn([make_delta(make_interactions(1))])
    before = models.snapshot()
    rescale(model_weights(config), 3 * DAY, models.sessions, models.rules, models.popularity, models.hours)
    after = models.snapshot()
    for name, days in (
        ("sessions.weight", config.session_decay_days * config.similarity_exponent),
        ("rules.weight", config.rule_decay_days),
        ("rules.total", config.rule_decay_days),
        ("popularity.score", config.popularity_decay_days),
        ("popularity.floor", config.popularity_decay_days),
        ("hours.weight", config.hour_decay_days),
    ):
        assert after[name] == pytest.approx(before[name] * np.exp(-3 / days), rel=1e-5)
        assert before[name].any() or name == "popularity.floor"
