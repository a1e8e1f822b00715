"""Softmax policy over slates: Plackett-Luce, drawn by an exponential race (Gumbel top-k)."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from state.kernel import kernel, kernel_part
from state.policy.base import Choices, Ints, Longs, Scores, version_of
from state.policy.limits import Limits, count_in
from state.seeds import advance, uniform

MIN_TEMPERATURE: Final = 0.0125
"""Below it exp(-1 / temperature) / n could leave the range of float32, and a propensity become 0."""


class Softmax:
    r"""Each position is a softmax draw over the candidates that are left (Plackett-Luce).

    With s the scores, T the temperature and R the candidates not yet taken,

        w_i = exp((s_i / max(s) - 1) / T)         P(i | above) = w_i / sum_{j in R} w_j

    so only ratios to the best score count, and the worst candidate is at least exp(-1 / T) times as likely as
    the best. Where all scores are 0, every candidate is equally likely.

    The slate is drawn at once: candidates in rising order of E_i / w_i, with E_i standard exponential. It is
    the order of Gumbel top-k (Kool et al.), since -log(E_i / w_i) is log w_i plus a standard Gumbel number.
    Under limits, whose group is full when it arrives is passed over: an exponential forgets how long it has
    run, so those that are still eligible race on as if they started there.
    Draws have 52 bits: what is less likely than about 1e-16 has its right propensity, but does not happen.

    Args:
        temperature: At least 0.0125; higher explores more. At 0.15 a candidate with half the best score is 28
            times less likely than the best, one with score 0 about 800 times.

    Raises:
        ValueError: The temperature is out of range.

    Examples:
        >>> import numpy as np
        >>> from state.policy.base import choose
        >>> policy = Softmax(temperature=0.15)
        >>> scores = np.array([3.0, 2.0, 1.0, 0.0])
        >>> policy.distribution(scores, taken=[]).round(4).tolist()
        [0.8918, 0.0966, 0.0105, 0.0011]
        >>> choice = choose(policy, scores, slots=2, seed=7)
        >>> choice.indices.tolist(), [round(p, 4) for p in choice.propensities.tolist()]
        ([0, 2], [0.8918, 0.0967])

    References:
        Luce (1959), Individual Choice Behavior.
        Plackett (1975), The analysis of permutations, Applied Statistics 24(2).
        Efraimidis, Spirakis (2006), Weighted random sampling with a reservoir, IPL 97(5).
        Kool, van Hoof, Welling (2019), Stochastic beams and where to find them, ICML.
    """

    name: Final = "softmax"

    def __init__(self, *, temperature: float = 0.15) -> None:
        if not (math.isfinite(temperature) and temperature >= MIN_TEMPERATURE):
            message = (
                f"temperature must be a number from {MIN_TEMPERATURE} up, so that no propensity underflows;"
                f" got {temperature!r}"
            )
            raise ValueError(message)
        self.temperature: Final = float(temperature)
        self.version: Final = version_of(self.name, 1, temperature=temperature)

    def choose_all(
        self, scores: Scores, counts: Ints, slots: int, seeds: Longs, *, limits: Limits | None = None
    ) -> Choices:
        """Draw slates; see `state.policy.base.Policy.choose_all`."""
        drawn = Choices.empty(counts, slots)
        # A copy of one type, whatever the caller's: one compiled kernel, and its work space.
        weights = np.array(scores, dtype=np.float64)
        if limits is None:
            _draw_all(weights, counts, self.temperature, seeds, drawn.indices, drawn.propensities)
        else:
            _draw_all_limited(
                weights,
                counts,
                self.temperature,
                seeds,
                *limits,
                drawn.indices,
                drawn.propensities,
                drawn.sizes,
            )
        return drawn

    def distribution(self, scores: Scores, taken: Sequence[int]) -> npt.NDArray[np.float64]:
        """Probabilities for the next position; see `state.policy.base.Policy.distribution`."""
        result = np.zeros(len(scores))
        left = np.setdiff1d(np.arange(len(scores)), taken)
        if left.size:
            top = float(np.max(scores))
            logits = scores[left].astype(np.float64) / (top or 1.0) / self.temperature
            weights = np.exp(logits - logits.max())
            result[left] = weights / weights.sum()
        return result


@kernel
def _draw_all(
    weights: npt.NDArray[np.float64],
    counts: Ints,
    temperature: float,
    seeds: Longs,
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
) -> None:
    """Fill a row of `chosen` and `propensities` [rows, slots] for each row of scores in `weights`."""
    keys = np.empty(chosen.shape[1])
    for row in range(counts.size):
        _draw(weights[row, : counts[row]], temperature, seeds[row], keys, chosen[row], propensities[row])


@kernel_part
def _draw(
    weights: npt.NDArray[np.float64],
    temperature: float,
    seed: int,
    keys: npt.NDArray[np.float64],
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
) -> None:
    """Slate and propensities [slots] for the scores in `weights` [n], which it overwrites."""
    n = weights.size
    k = min(chosen.size, n)
    if k == 0:
        return
    top = 0.0
    for score in weights:
        top = max(top, score)
    state = np.uint64(seed)
    rest = 0.0  # sum of the weights of the candidates outside the slate
    for i in range(n):
        w = math.exp((weights[i] / top - 1.0) / temperature) if top > 0.0 else 1.0
        weights[i] = w
        state = advance(state)
        u = uniform(state)
        # 1 - u <= -log u: most of a long tail loses the race without its logarithm.
        if i >= k and 1.0 - u >= w * keys[k - 1]:
            rest += w
            continue
        key = -math.log(u) / w
        if i >= k:
            if key >= keys[k - 1]:
                rest += w
                continue
            rest += weights[chosen[k - 1]]
        _insert(keys, chosen, min(i, k - 1), key, i)
    # From the last position up, so that what is left grows by additions: no cancellation, no ratio above 1.
    left = rest
    for j in range(k - 1, -1, -1):
        w = weights[chosen[j]]
        left += w
        propensities[j] = w / left


@kernel_part
def _insert(
    keys: npt.NDArray[np.float64], chosen: npt.NDArray[np.int32], last: int, key: float, index: int
) -> None:
    """Put a candidate into the slate sorted by key; what stands at `last` is overwritten."""
    at = last
    while at > 0 and keys[at - 1] > key:
        keys[at] = keys[at - 1]
        chosen[at] = chosen[at - 1]
        at -= 1
    keys[at] = key
    chosen[at] = index


@kernel
def _draw_all_limited(
    weights: npt.NDArray[np.float64],
    counts: Ints,
    temperature: float,
    seeds: Longs,
    groups: Ints,
    most: Ints,
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
    sizes: Ints,
) -> None:
    """`_draw_all` under limits; `sizes` [rows] are those of the slates."""
    held, closed = np.zeros(most.size, np.int32), np.zeros(most.size)
    for row in range(counts.size):
        n = counts[row]
        order = _race(weights[row, :n], temperature, seeds[row])
        size = 0
        for index in order:
            group = groups[row, index]
            if size == chosen.shape[1]:
                break
            if group < 0 or held[group] < most[group]:
                count_in(held, most, group)
                chosen[row, size] = index
                size += 1
        sizes[row] = size
        _say(weights[row, :n], groups[row], most, held, closed, chosen[row, :size], propensities[row])


@kernel
def _race(weights: npt.NDArray[np.float64], temperature: float, seed: int) -> Longs:
    """All candidates [n] in the order in which they arrive; turns scores into weights."""
    keys = np.empty(weights.size)
    top = weights.max() if weights.size else 0.0
    state = np.uint64(seed)
    for i in range(weights.size):
        weights[i] = math.exp((weights[i] / top - 1.0) / temperature) if top > 0.0 else 1.0
        state = advance(state)
        keys[i] = -math.log(uniform(state)) / weights[i]
    return np.argsort(keys, kind="mergesort")


@kernel
def _say(
    weights: npt.NDArray[np.float64],
    groups: Ints,
    most: Ints,
    held: Ints,
    closed: npt.NDArray[np.float64],
    chosen: Ints,
    propensities: npt.NDArray[np.float32],
) -> None:
    """Propensities of a slate under limits, from the last position up as in `_draw`.

    `held` [groups] counts the slate's items, and is 0 afterwards, as `closed` is before and after.
    """
    is_out = np.ones(weights.size, np.bool_)
    is_out[chosen] = False
    left = 0.0
    for i in range(weights.size):
        if is_out[i]:
            group = groups[i]
            if group >= 0 and held[group] >= most[group]:
                closed[group] += weights[i]
            else:
                left += weights[i]
    for j in range(chosen.size - 1, -1, -1):
        group = groups[chosen[j]]
        if group >= 0:
            # The lowest of a full group closed it: at its position, and above, the whole group was eligible.
            left += closed[group]
            closed[group] = 0.0
            held[group] -= 1
        left += weights[chosen[j]]
        propensities[j] = weights[chosen[j]] / left
