import builtins
import sys

import numpy as np
import pytest

from state.ranking.examples import quality
from state.ranking.features import FEATURES, N_FEATURES
from state.ranking.trees import score_all, trees_of
from stream.training import TrainingError, TrainingRules, load_lightgbm, train
from tests.stream.made_ranker import lightgbm_or_skip, made_examples

FEW = TrainingRules(num_trees=5, min_data_in_leaf=20)


@pytest.fixture
def without(monkeypatch):
    """Make the import of LightGBM fail with an error."""

    def fail(error):
        real = builtins.__import__

        def refuse(name, *arguments, **named):
            if name.partition(".")[0] == "lightgbm":
                raise error
            return real(name, *arguments, **named)

        monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
        monkeypatch.setattr(builtins, "__import__", refuse)

    return fail


def test_scores_are_those_of_the_library_to_the_last_bit():
    lightgbm = lightgbm_or_skip()
    rng = np.random.default_rng(7)
    # Few values, many ties, and a column of each scale.
    rows = (rng.integers(0, 50, (4000, N_FEATURES)) * 10.0 ** rng.integers(-4, 3, N_FEATURES)).astype(
        np.float32
    )
    worth = rng.integers(0, 3, 4000)
    data = lightgbm.Dataset(rows, worth, group=[40] * 100, params={"use_missing": False, "verbose": -1})
    parameters = {"objective": "lambdarank", "num_leaves": 31, "use_missing": False, "verbose": -1}
    booster = lightgbm.train(parameters, data, 40)
    trees = trees_of(booster.dump_model()["tree_info"])
    values = rows.reshape(100, 40, N_FEATURES).transpose(0, 2, 1).copy()
    scores = score_all(trees, values, np.full(100, 40, np.int32))
    assert scores.reshape(-1).tolist() == booster.predict(rows, raw_score=True).tolist()


def test_what_decides_is_learned_and_the_metrics_say_so():
    lightgbm_or_skip()
    examples = made_examples()
    told = []
    trained = train(examples, FEW, on_progress=lambda *progress: told.append(progress))
    assert trained.metrics["mrr"] > 0.8
    assert trained.metrics["blend_mrr"] < 0.5
    assert trained.metrics["ndcg@10"] > trained.metrics["blend_ndcg@10"]
    assert trained.metrics["judged_lists"] == 80
    assert max(trained.importance, key=trained.importance.get) == "seen"
    assert sum(trained.importance.values()) == pytest.approx(1.0)
    assert told == [(n, 10) for n in range(1, 11)]
    assert trained.library.startswith("lightgbm ")
    values = examples.features.reshape(400, 10, N_FEATURES).transpose(0, 2, 1).copy()
    scores = score_all(trained.trees, values, examples.sizes).reshape(-1)
    assert quality(examples, scores).mrr > 0.8


def test_the_same_examples_give_the_same_trees():
    lightgbm_or_skip()
    first, second = (train(made_examples(), FEW).trees for _ in range(2))
    assert all((one == two).all() for one, two in zip(first, second, strict=True))


def test_what_was_shown_on_top_is_not_taken_for_what_is_good():
    """Half of the rewards go to whatever is shown first: the position explains them, no feature does."""
    lightgbm_or_skip()
    examples = made_examples(1000)
    labels = examples.labels.copy()
    labels.reshape(1000, 10)[::2] = np.eye(1, 10, dtype=np.int32)
    features = examples.features.copy()
    features[:, FEATURES.index("rank")] = examples.positions
    trained = train(examples._replace(labels=labels, features=features), FEW)
    assert trained.importance["seen"] > 0.3


def test_too_little_is_not_trained_on():
    lightgbm_or_skip()
    with pytest.raises(TrainingError, match="10 lists to learn from, and 200 are needed"):
        train(made_examples(10))


def test_where_lightgbm_is_missing_the_message_says_how_to_install_it(without):
    without(ModuleNotFoundError("No module named 'lightgbm'"))
    with pytest.raises(TrainingError, match=r"pip install 'freshslate\[ranker\]'"):
        load_lightgbm()


def test_where_the_system_library_is_missing_the_message_names_it(without):
    without(OSError("libgomp.so.1: cannot open shared object file"))
    with pytest.raises(TrainingError, match=r"libgomp\.so\.1.*apt-get install libgomp1"):
        load_lightgbm()


@pytest.mark.parametrize("leaves", [1, 33])
def test_leaves_beyond_a_word_are_refused(leaves):
    with pytest.raises(ValueError, match=r"num_leaves must be in \[2, 32\]"):
        TrainingRules(num_leaves=leaves)
