"""Sequential rules in both directions: which items follow, or come before, which within a session.

R[a][x] += u/g for an `a` that stands g steps before `x`, and R[x][a] += beta u/g, with
u = e^{(t - origin)/tau} (forward decay, as in `sessions`). Each item keeps its strongest targets, in falling
order of weight.

Source: Ludewig and Jannach, Evaluation of session-based recommendation algorithms (UMUAI 2018), SR;
the second direction, the decay and the normalisation were tuned on Diginetica.
"""

from math import exp, sqrt
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arena import block_size, free_block, new_heap, take_block
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.flags import TOUCHED
from state.retrieval.rows import find_target, put_entry

COLUMN: Final = 1
"""This source's column in the scores by item."""


class Rules(NamedTuple):
    """The rules. Rows grow with the items."""

    offset: Longs
    """[items] block of the item's targets."""
    level: Bytes
    """[items] size class of that block."""
    kept: Ints
    """[items] targets in the block."""
    total: Doubles
    """[items] sum of their weights."""
    target: Ints
    """[entries] item."""
    weight: Floats
    """[entries] R, relative to the origin of time."""
    heap: Longs


DIMENSIONS: Final = {
    "offset": "items",
    "level": "items",
    "kept": "items",
    "total": "items",
    "target": "rules",
    "weight": "rules",
}


class RuleWeights(NamedTuple):
    """`ModelConfig` as the kernels want it."""

    targets: int
    decay: float
    """Milliseconds in which evidence grows by e."""
    backward: float
    steps: Doubles
    """[rule_steps] 1/g."""
    query: Doubles
    """[rule_steps] e^{-j/l_c}."""


def new_rules() -> Rules:
    """No rules, no items, no room."""
    return Rules(
        offset=np.zeros(0, np.int64),
        level=np.zeros(0, np.int8),
        kept=np.zeros(0, np.int32),
        total=np.zeros(0, np.float64),
        target=np.zeros(0, np.int32),
        weight=np.zeros(0, np.float32),
        heap=new_heap(),
    )


def rule_weights(config: ModelConfig) -> RuleWeights:
    """Tables for this configuration."""
    steps = np.arange(config.rule_steps, dtype=np.float64)
    return RuleWeights(
        targets=config.rule_targets,
        decay=config.rule_decay_days * DAY_MS,
        backward=config.rule_backward_weight,
        steps=1.0 / (steps + 1.0),
        query=np.exp(-steps / config.rule_query_decay_steps),
    )


@kernel_part
def observe_sequence(
    rules: Rules, weights: RuleWeights, origin: int, item: int, before: Ints, time: int
) -> None:
    """Fold one interaction that follows the items `before` [n] of its session, oldest first."""
    evidence = exp((time - origin) / weights.decay)
    for back in range(min(before.size, weights.steps.size)):
        other = before[before.size - 1 - back]
        if other != item:
            share = evidence * weights.steps[back]
            _strengthen(rules, other, item, share, weights.targets)
            if weights.backward > 0.0:
                _strengthen(rules, item, other, share * weights.backward, weights.targets)


@kernel_part
def _strengthen(rules: Rules, item: int, target: int, share: float, limit: int) -> None:
    """R[item][target] += share; the weakest target gives way where the row is full."""
    start = rules.offset[item]
    count = rules.kept[item]
    rules.total[item] += share
    place = find_target(rules.target, start, count, target)
    if place >= 0:
        put_entry(rules.target, rules.weight, start, place, target, rules.weight[start + place] + share)
        return
    if count == limit:
        count -= 1
        rules.total[item] -= rules.weight[start + count]
    else:
        if count == 0:
            start = take_block(rules.target, rules.heap, 0, limit)
            rules.offset[item] = start
            rules.level[item] = 0
        elif count == block_size(rules.level[item], limit):
            start = _move_row(rules, item, limit)
        rules.kept[item] = count + 1
    put_entry(rules.target, rules.weight, start, count, target, share)


@kernel_part
def _move_row(rules: Rules, item: int, limit: int) -> int:
    """Move a full row into a block of the next size; returns its offset."""
    old = rules.offset[item]
    new = take_block(rules.target, rules.heap, rules.level[item] + 1, limit)
    for i in range(rules.kept[item]):
        rules.target[new + i] = rules.target[old + i]
        rules.weight[new + i] = rules.weight[old + i]
    free_block(rules.target, rules.heap, rules.level[item], old)
    rules.offset[item] = new
    rules.level[item] += 1
    return new


@kernel_part
def add_rules(
    rules: Rules, weights: RuleWeights, session: Ints, scores: Floats, flags: Bytes, touched: Ints, count: int
) -> int:
    """Score the targets of the current session's items.

    The score of x is the sum over j steps back of e^{-(j-1)/l_c} R[a_j][x] / sqrt(sum R[a_j]).
    Arguments and result as in `sessions.add_neighbours`.
    """
    for back in range(min(session.size, weights.query.size)):
        item = session[back]
        total = rules.total[item]
        if total <= 0.0:
            continue
        factor = weights.query[back] / sqrt(total)
        start = rules.offset[item]
        for entry in range(start, start + rules.kept[item]):
            target = rules.target[entry]
            if flags[target] & TOUCHED == 0:
                flags[target] |= TOUCHED
                touched[count] = target
                count += 1
            scores[target, COLUMN] += factor * rules.weight[entry]
    return count
