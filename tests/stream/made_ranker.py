"""Artefacts and examples made up for tests of the ranker's surroundings."""

import numpy as np
import pytest

from state.ranking.examples import Examples
from state.ranking.features import FEATURES, N_FEATURES
from state.ranking.trees import trees_of
from stream.ranker import ModelCard, encode_ranker
from stream.training import TrainingError, load_lightgbm
from tests.state.ranking.made import made_infos

T = 1_763_831_000_000


def made_card(**changes):
    return ModelCard(
        **{
            "trained_at": T,
            "source": "decision log",
            "first_time": T - 86_400_000,
            "last_time": T,
            "lists": 1000,
            "rows": 10_000,
            "rewarded": 1100,
            "parameters": {"num_trees": 7.0},
            "metrics": {
                "ndcg@10": 0.5,
                "mrr": 0.4,
                "blend_ndcg@10": 0.45,
                "blend_mrr": 0.35,
                "judged_lists": 200.0,
            },
            "importance": {"blend": 0.75, "seen": 0.25},
            "library": "lightgbm 4.6.0",
            "program": "0.1.0",
        }
        | changes
    )


def made_artefact(seed=1, **changes):
    return encode_ranker(made_card(**changes), trees_of(made_infos(seed)))


def made_examples(lists=400, size=10, seed=1):
    """Lists in which the candidate seen most often is the one that was worth something."""
    rng = np.random.default_rng(seed)
    features = rng.random((lists, size, N_FEATURES)).astype(np.float32)
    best = features[:, :, FEATURES.index("seen")].argmax(axis=1)
    labels = np.zeros((lists, size), np.int32)
    labels[np.arange(lists), best] = 1
    positions = np.tile(np.arange(1, size + 1, dtype=np.int32), lists)
    return Examples(
        features.reshape(-1, N_FEATURES), labels.reshape(-1), positions, np.full(lists, size, np.int32)
    )


def lightgbm_or_skip():
    """LightGBM; a test that needs it says loudly what is not checked without it."""
    try:
        return load_lightgbm()
    except TrainingError as error:
        pytest.skip(f"NOT CHECKED: training a ranker, and that our scores are the library's; {error}")
