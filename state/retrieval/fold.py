"""Folding interactions into all sources: one kernel call for a batch of any size."""

from state.kernel import kernel, kernel_part
from state.retrieval.arrays import Ints, Longs
from state.retrieval.box import Box
from state.retrieval.hour import Hours, observe_hour
from state.retrieval.popularity import Popularity, observe_popularity
from state.retrieval.rules import Rules, observe_sequence
from state.retrieval.sessions import SessionIndex, observe_session
from state.retrieval.weights import Weights


@kernel
def fold(
    box: Box,
    origin: int,
    items: Ints,
    sequences: Longs,
    times: Longs,
    types: Longs,
    start: int,
) -> int:
    """Fold the interactions [n] from `start` on; returns how many of the n are folded.

    Stops early where an arena might not hold the next one, or where its time lies beyond the horizon: the
    caller makes room or rescales, and calls again. A sequence of -1 stands for no session.
    """
    return _fold(
        box.sessions,
        box.rules,
        box.popularity,
        box.hours,
        box.weights,
        origin,
        items,
        sequences,
        times,
        types,
        start,
    )


@kernel_part
def _fold(
    index: SessionIndex,
    rules: Rules,
    popularity: Popularity,
    hours: Hours,
    weights: Weights,
    origin: int,
    items: Ints,
    sequences: Longs,
    times: Longs,
    types: Longs,
    start: int,
) -> int:
    """See `fold`."""
    postings = index.postings.size - weights.sessions.postings
    targets = rules.target.size - 2 * weights.rules.steps.size * weights.rules.targets
    for i in range(start, items.size):
        if index.heap[0] > postings or rules.heap[0] > targets or times[i] - origin > weights.horizon:
            return i
        item = items[i]
        sequence = sequences[i]
        if sequence >= 0:
            if sequence < index.counters[0]:
                slot = sequence & (weights.sessions.ring - 1)
                before = index.rows[slot, : index.size[slot]]
                observe_sequence(rules, weights.rules, origin, item, before, times[i])
            observe_session(index, weights.sessions, origin, item, sequence, times[i])
        observe_popularity(popularity, weights.popularity, origin, item, times[i], types[i])
        observe_hour(hours, weights.hours, origin, item, times[i], types[i])
    return items.size
