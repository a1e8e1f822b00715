"""`ModelConfig` as the kernels want it, and their work space."""

from typing import Final, NamedTuple

import numpy as np

from state.retrieval.arrays import Bytes, Floats, Ints, Longs
from state.retrieval.category import CategoryWeights, category_weights
from state.retrieval.config import SOURCE_WEIGHTS, ModelConfig
from state.retrieval.content import ContentWeights, content_weights
from state.retrieval.history import HistoryWeights, history_weights
from state.retrieval.hour import HourWeights, hour_weights
from state.retrieval.popularity import PopularityWeights, popularity_weights
from state.retrieval.rules import RuleWeights, rule_weights
from state.retrieval.sessions import SessionScratch, SessionWeights, session_scratch, session_weights
from state.retrieval.two_hop import TwoHopWeights, two_hop_weights

SOURCES: Final = tuple(SOURCE_WEIGHTS)
"""Candidate sources in the order of their columns."""

MAX_EXPONENT: Final = 40.0
"""Forward weights are rescaled when the fastest has grown by e to this: float32 ends at e^88."""


class Weights(NamedTuple):
    """Parameters of all sources and of their blend."""

    sessions: SessionWeights
    rules: RuleWeights
    popularity: PopularityWeights
    history: HistoryWeights
    two_hop: TwoHopWeights
    category: CategoryWeights
    hours: HourWeights
    content: ContentWeights
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
    hours = hour_weights(config)
    fastest = min(sessions.decay, rules.decay, popularity.decay, hours.decay)
    return Weights(
        sessions=sessions,
        rules=rules,
        popularity=popularity,
        history=history_weights(config),
        two_hop=two_hop_weights(config),
        category=category_weights(config),
        hours=hours,
        content=content_weights(config),
        blend=np.array(config.source_weights(), np.float32),
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
