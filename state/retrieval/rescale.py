"""Forward weights counted from a new origin of time, before they outgrow float32."""

from math import exp

import numpy as np

from state.retrieval.hour import Hours
from state.retrieval.popularity import Popularity
from state.retrieval.rules import Rules
from state.retrieval.sessions import SessionIndex
from state.retrieval.weights import Weights


def rescale(
    weights: Weights, passed: int, sessions: SessionIndex, rules: Rules, popularity: Popularity, hours: Hours
) -> None:
    """Age everything by `passed` milliseconds, by which the origin moves on; no score changes by it."""
    sessions.weight[:] *= np.float32(exp(-passed / weights.sessions.decay))
    rules.weight[:] *= np.float32(exp(-passed / weights.rules.decay))
    rules.total[:] *= exp(-passed / weights.rules.decay)
    popularity.score[:] *= exp(-passed / weights.popularity.decay)
    popularity.floor[:] *= exp(-passed / weights.popularity.decay)
    hours.weight[:] *= np.float32(exp(-passed / weights.hours.decay))
