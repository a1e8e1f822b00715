"""Two-hop rules: what follows what follows the current session, for items that have few rules of their own.

The best targets x of `rules` are looked up once more: the score of y is the sum over them of
score(x) R[x][y] / sqrt(sum R[x]), where only the strongest targets of each x are read.

Source: Choi et al., S-Walk (WSDM 2022), which walks the same graph further.
"""

from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval import rules as rule
from state.retrieval.arrays import Bytes, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED
from state.retrieval.rules import Rules

COLUMN: Final = 4
"""This source's column in the scores by item."""
_RULES: Final = rule.COLUMN
_LARGEST: Final = np.int64((1 << 31) - 1)


class TwoHopWeights(NamedTuple):
    """`ModelConfig` as the kernel wants it."""

    through: int
    """Targets of the rules that are looked up once more."""
    targets: int
    """Strongest targets read of each."""


def two_hop_weights(config: ModelConfig) -> TwoHopWeights:
    """Limits of this configuration."""
    return TwoHopWeights(through=config.two_hop_through, targets=config.two_hop_targets)


@kernel_part
def add_two_hop(
    rules: Rules,
    weights: TwoHopWeights,
    keys: Longs,
    scores: Floats,
    flags: Bytes,
    touched: Ints,
    count: int,
) -> int:
    """Score the targets of the best targets, once `rules.add_rules` has scored those.

    `keys` [items] is work space. Other arguments and result as in `sessions.add_neighbours`.
    """
    best = _best(weights.through, keys, scores, touched, count)
    for place in range(best):
        through = _LARGEST - (keys[place] & _LARGEST)
        total = rules.total[through]
        if total <= 0.0:
            continue
        start = rules.offset[through]
        factor = scores[through, _RULES] / sqrt(total)
        for entry in range(start, start + min(weights.targets, rules.kept[through])):
            target = rules.target[entry]
            if flags[target] & TOUCHED == 0:
                flags[target] |= TOUCHED
                touched[count] = target
                count += 1
            scores[target, COLUMN] += factor * rules.weight[entry]
    return count


@kernel_part
def _best(limit: int, keys: Longs, scores: Floats, touched: Ints, count: int) -> int:
    """Write the items best by rules to `keys`, score and item in one number; returns how many.

    The largest score first, equals by dense id.
    """
    found = 0
    # Scores are not negative, so their bits rise as they do.
    bits = scores.view(np.int32)
    for i in range(count):
        score = bits[touched[i], _RULES]
        key = (np.int64(score) << 32) | (_LARGEST - touched[i])
        if score == 0 or (found == limit and key < keys[limit - 1]):
            continue
        place = min(found, limit - 1)
        while place > 0 and keys[place - 1] < key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key
        found = min(found + 1, limit)
    return found
