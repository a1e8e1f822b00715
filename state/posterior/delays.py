r"""How many of a type's rewards have arrived at an age, learned from the delays seen so far.

Delays are seen truncated: of a slate two hours old no delay above two hours can have been seen, so the share
of quick ones among all seen is too large. The product-limit estimate in reversed time corrects that:

    F(a) = prod over bins j above a of (1 - n_j / R_j)

n_j: rewards with a delay in bin j; R_j: rewards with a delay up to the end of bin j; both only of slates old
enough for all of bin j to have been seen. F is relative to the longest delay that the log is old enough to
show; what takes longer is unknown to it.

Source: Lagakos, Barraj, De Gruttola, "Nonparametric analysis of truncated survival data, with application to
AIDS", Biometrika 75(3), 1988, section 3.

Bounded: `SPANS` hours of slate time, delays in bins that grow by half an octave. A reward of a slate older
than all hours is left out.
"""

from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel
from state.posterior.sums import SPAN_MS, SPANS, TYPES
from state.retrieval.arrays import Doubles, Longs

LONGEST_SECONDS: Final = 16 * 86_400
"""Longer delays are not counted: a refund two weeks after the slate is the slowest feedback there is."""
BINS_PER_OCTAVE: Final = 2
LEAST_REWARDS: Final = 20
"""Of a type; with fewer all are taken to have arrived."""


class Delays(NamedTuple):
    """Rewards by the age at which they came."""

    edges: Doubles
    """[bins] upper ends, in seconds; the first is maturity."""
    counts: Longs
    """[types, SPANS, bins] rewards; the slates' hour h is at `h % SPANS`."""


def new_delays(maturity_seconds: float) -> Delays:
    """No delays yet."""
    octaves = max(0.0, float(np.log2(LONGEST_SECONDS / maturity_seconds)))
    above = int(np.ceil(octaves * BINS_PER_OCTAVE))
    edges = maturity_seconds * 2.0 ** (np.arange(above + 1) / BINS_PER_OCTAVE)
    return Delays(edges, np.zeros((TYPES, SPANS, above + 1), np.int64))


def pass_spans(delays: Delays, before: int, now: int) -> None:
    """Forget spans that are too old, where the newest slate's hour moves from `before` to `now`."""
    passed = np.arange(before + 1, min(before + SPANS, now) + 1)
    delays.counts[:, passed % SPANS] = 0


@kernel
def add_delays(delays: Delays, newest: int, hours: Longs, types: Longs, seconds: Doubles) -> None:
    """Count rewards.

    Args:
        delays: changed in place.
        newest: the newest slate's hour.
        hours: [n] of the slates, at most `newest`.
        types: [n] code of the event type.
        seconds: [n] delays; below 0 where clocks disagree.
    """
    edges, counts = delays
    for i in range(hours.size):
        if hours[i] <= newest - SPANS:
            continue
        place = 0
        while place < edges.size and seconds[i] > edges[place]:
            place += 1
        if place < edges.size:
            counts[types[i], hours[i] % SPANS, place] += 1


def arrived(delays: Delays, newest_ms: int, ages: Doubles) -> Doubles:
    """[types, n] F: share of each type's rewards that have arrived at an age, (0, 1].

    Args:
        delays: seen so far.
        newest_ms: time of the newest slate, which is how far the log is known.
        ages: [n] seconds; below maturity they count as that.
    """
    edges, counts = delays
    newest = newest_ms // SPAN_MS
    hours = newest - (newest - np.arange(SPANS)) % SPANS  # of each place
    is_whole = newest_ms - (hours[:, None] + 1) * SPAN_MS >= 1000 * edges  # [SPANS, bins]
    in_bin = np.einsum("tsb,sb->tb", counts, is_whole)
    at_risk = np.einsum("tsb,sb->tb", np.cumsum(counts, axis=2), is_whole)
    stays = 1.0 - in_bin / np.maximum(1, at_risk)
    # Of F at the end of bin j, the bins above j.
    shares = np.ones((TYPES, edges.size))
    shares[:, :-1] = np.cumprod(stays[:, :0:-1], axis=1)[:, ::-1]
    shares[counts.sum(axis=(1, 2)) < LEAST_REWARDS] = 1.0
    return np.array([np.interp(ages, edges, share) for share in shares])
