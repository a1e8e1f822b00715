"""The user's own recent items, from before the current session: what one came back for."""

from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arrays import Bytes, Floats, Ints
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED

COLUMN: Final = 3
"""This source's column in the scores by item."""


class HistoryWeights(NamedTuple):
    """`ModelConfig` as the kernel wants it."""

    steps: Floats
    """[history_items] e^{-j/decay}."""


def history_weights(config: ModelConfig) -> HistoryWeights:
    """Table for this configuration."""
    back = np.arange(config.history_items, dtype=np.float64)
    return HistoryWeights(steps=np.exp(-back / config.history_decay_steps).astype(np.float32))


@kernel_part
def add_history(
    weights: HistoryWeights, history: Ints, scores: Floats, flags: Bytes, touched: Ints, count: int
) -> int:
    """Score the items `history` [n], distinct, newest first.

    Other arguments and result as in `sessions.add_neighbours`.
    """
    for back in range(min(history.size, weights.steps.size)):
        item = history[back]
        if flags[item] & TOUCHED == 0:
            flags[item] |= TOUCHED
            touched[count] = item
            count += 1
        scores[item, COLUMN] += weights.steps[back]
    return count
