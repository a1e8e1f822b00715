"""Trees and rankers made up at random, and trees walked one node at a time."""

import random

import numpy as np

from state.ranking.features import N_FEATURES
from state.ranking.ranker import Ranker
from state.ranking.trees import trees_of


def made_tree(draw, leaves, features=N_FEATURES):
    """A random tree with so many leaves, as LightGBM's `dump_model` writes one."""
    if leaves == 1:
        return {"leaf_value": draw.uniform(-1, 1)}
    left = draw.randint(1, leaves - 1)
    return {
        "split_index": 0,
        "split_feature": draw.randrange(features),
        "threshold": draw.choice([0.0, 1.0, 2.0, draw.uniform(0, 3), 0.1]),
        "decision_type": "<=",
        "missing_type": "None",
        "left_child": made_tree(draw, left, features),
        "right_child": made_tree(draw, leaves - left, features),
    }


def made_infos(seed, trees=7, leaves=32, features=N_FEATURES):
    """Random trees of up to so many leaves."""
    draw = random.Random(seed)
    return [
        {"tree_structure": made_tree(draw, draw.choice([1, 2, 5, leaves]), features)} for _ in range(trees)
    ]


def made_ranker(seed=1, version="00c0ffee"):
    return Ranker(trees_of(made_infos(seed)), version)


def walked(infos, row):
    """The score of one candidate's features, by walking each tree."""
    total = 0.0
    for info in infos:
        node = info["tree_structure"]
        while "split_index" in node:
            is_left = np.float64(row[node["split_feature"]]) <= node["threshold"]
            node = node["left_child"] if is_left else node["right_child"]
        total += node["leaf_value"]
    return total
