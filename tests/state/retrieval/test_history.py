from state.models import Models
from state.retrieval.history import history_weights
from tests.state.retrieval.reference import Reference
from tests.state.retrieval.shops import close, make_delta, make_interactions, show_everything, source_scores

SOURCE = "history"


def test_newer_items_come_first_and_each_counts_once() -> None:
    config = show_everything(history_items=3)
    models, reference = Models(config), Reference(config)
    models.learn([make_delta(make_interactions(1))])
    found = source_scores(models, SOURCE, history=("i5", "i1", "i2", "i0", "i2"))
    assert close(found, reference.history(["i2", "i0", "i1"]))


def test_the_table_has_as_many_steps_as_items_come_back() -> None:
    assert history_weights(show_everything(history_items=5)).steps.shape == (5,)
