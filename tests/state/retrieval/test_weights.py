from state.retrieval.weights import MAX_EXPONENT, SOURCES, model_weights, new_scratch
from tests.state.retrieval.shops import DAY, show_everything


def test_the_horizon_is_that_of_the_fastest_decay() -> None:
    weights = model_weights(show_everything(popularity_decay_days=2.0))
    assert weights.horizon == MAX_EXPONENT * 2 * DAY
    assert weights.blend.size == len(SOURCES)


def test_work_space_has_a_column_for_each_source() -> None:
    scratch = new_scratch(show_everything(), items=3, sessions=2)
    assert scratch.scores.shape == (3, len(SOURCES))
    assert scratch.sessions.similarity.shape == (2, 2)
