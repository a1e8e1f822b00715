"""`ModelConfig` as the kernels want it, and their work space."""

from typing import Final, NamedTuple

import numpy as np

from state.retrieval.arrays import Bytes, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.history import HistoryWeights, history_weights
from state.retrieval.popularity import PopularityWeights, popularity_weights
from state.retrieval.rules import RuleWeights, rule_weights
from state.retrieval.sessions import SessionScratch, SessionWeights, session_scratch, session_weights

SOURCES: Final = ("session_knn", "sequence_rules", "popularity", "history")
"""Candidate sources in the order of their columns."""

MAX_EXPONENT: Final = 40.0
"""Forward weights are rescaled when the fastest has grown by e to this: float32 ends at e^88."""


class Weights(NamedTuple):
    """Parameters of all sources and of their blend."""

    sessions: SessionWeights
    rules: RuleWeights
    popularity: PopularityWeights
    history: HistoryWeights
    blend: Floats
    """[len(SOURCES)] weight of each source."""
    repeat_current: float
    repeat_earlier: float
    horizon: int
    """Milliseconds after the origin of time at which forward weights have to be rescaled."""


class Scratch(NamedTuple):
    """Work space of one query."""

    sessions: SessionScratch
    scores: Floats
    """[items, len(SOURCES)] zero between queries."""
    flags: Bytes
    """[items] bits of `state.retrieval.flags`; zero between queries."""
    touched: Ints
    """[items]"""
    ranked: Ints
    """[items]"""
    values: Floats
    """[items]"""
    keys: Longs
    """[items]"""


def model_weights(config: ModelConfig) -> Weights:
    """Tables for this configuration."""
    sessions = session_weights(config)
    rules = rule_weights(config)
    popularity = popularity_weights(config)
    fastest = min(sessions.decay, rules.decay, popularity.decay)
    return Weights(
        sessions=sessions,
        rules=rules,
        popularity=popularity,
        history=history_weights(config),
        blend=np.array(
            [1.0, config.rule_weight, config.popularity_weight, config.history_weight], np.float32
        ),
        repeat_current=config.repeat_current_weight,
        repeat_earlier=config.repeat_earlier_weight,
        horizon=int(MAX_EXPONENT * fastest),
    )


def new_scratch(config: ModelConfig, items: int, sessions: int) -> Scratch:
    """Work space for so many rows of items and sessions."""
    return Scratch(
        sessions=session_scratch(config, sessions),
        scores=np.zeros((items, len(SOURCES)), np.float32),
        flags=np.zeros(items, np.int8),
        touched=np.zeros(items, np.int32),
        ranked=np.zeros(items, np.int32),
        values=np.zeros(items, np.float32),
        keys=np.zeros(items, np.int64),
    )
