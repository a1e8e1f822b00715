"""Exposures and rewards as arrays, out of the records that hold them.

Left out, and counted by the reason:

- `no_context`: nothing to learn from, since none was kept or it is not told; of a reward the delay counts.
- `other_context`: of another `CONTEXT_SET`, whose numbers mean something else.
- `ahead`: of a slate more than `AHEAD_MS` later than the record's own time. One such slate would make
  everything else old.
- `too_old`: of a slate 32 days older than the newest.
- `unknown_type`: a reward for no event type of ours.
"""

from base64 import b64decode
from binascii import Error
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from msgspec import UNSET

from state.event import TYPE_CODES
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE, FULL
from state.posterior.beliefs import ALL
from state.posterior.sums import Contexts
from state.retrieval.arrays import Doubles, Longs
from state.retrieval.lessons import as_longs
from state.slate import Delta, Exposures, Reward

AHEAD_MS: Final = 3_600_000

SlotOf = Callable[[str], int]
"""Number of a scenario."""


class SeenItems(NamedTuple):
    """Exposures [n]."""

    slots: Longs
    """Number of the scenario."""
    times: Longs
    """Of the slates, epoch milliseconds."""
    contexts: Contexts
    """[n, CONTEXT_SIZE]"""


class Feedback(NamedTuple):
    """Rewards [n]."""

    slots: Longs
    times: Longs
    """Of the slates, epoch milliseconds."""
    types: Longs
    """Codes of the event types."""
    delays: Doubles
    """Seconds from slate to feedback."""
    rewards: Doubles
    contexts: Contexts
    """[n, CONTEXT_SIZE] of the exposures; zeros where none is known."""


def seen_items(
    deltas: Iterable[Delta], logged: Sequence[int], slot_of: SlotOf, left_out: Counter[str]
) -> SeenItems:
    """The exposures of deltas.

    Args:
        deltas: in any order.
        logged: their own times in the log, epoch milliseconds; empty where that is not known.
        slot_of: numbers a scenario.
        left_out: counts by reason.

    Raises:
        ValueError: The arrays of a delta do not fit each other.
    """
    slots, times, contexts = [], [], []
    for number, delta in enumerate(deltas):
        exposures = delta.exposures
        if exposures is UNSET or not exposures.slate:
            continue
        if exposures.context_set != CONTEXT_SET or not exposures.context:
            left_out["other_context" if exposures.context else "no_context"] += len(exposures.slate)
            continue
        its_context = _contexts_of(exposures, delta.partition)
        slate = as_longs(exposures.slate)
        its_times = as_longs(exposures.times)[slate]
        kept = its_context[:, 0] != 0  # the first number is always 1
        if logged:
            is_ahead = its_times > logged[number] + AHEAD_MS
            left_out["ahead"] += int(is_ahead.sum())
            kept &= ~is_ahead
        left_out["no_context"] += int((its_context[:, 0] == 0).sum())
        its_slots = as_longs([slot_of(name) for name in exposures.scenarios or [ALL] * len(exposures.times)])
        slots.append(its_slots[slate][kept])
        times.append(its_times[kept])
        contexts.append(its_context[kept])
    if not slots:
        return SeenItems(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, CONTEXT_SIZE), np.uint8))
    return SeenItems(np.concatenate(slots), np.concatenate(times), np.concatenate(contexts))


def feedback(
    rewards: Sequence[Reward], logged: Sequence[int], slot_of: SlotOf, left_out: Counter[str]
) -> Feedback:
    """Rewards as arrays; the arguments are those of `seen_items`.

    Raises:
        ValueError: A context holds what is no byte.
    """
    n = len(rewards)
    types = as_longs([TYPE_CODES.get(each.type, -1) for each in rewards])
    delays = np.array([each.delay_seconds for each in rewards], np.float64)
    times = as_longs([each.time for each in rewards]) - np.rint(1000.0 * delays).astype(np.int64)
    features = [each.features if len(each.features) == CONTEXT_SIZE else _NONE for each in rewards]
    numbers = np.fromiter(chain.from_iterable(features), np.float64, n * CONTEXT_SIZE)
    if n and not 0 <= numbers.min() <= numbers.max() <= FULL:
        message = "the features of a reward are bytes, 0 to 255: the topic was written by another program"
        raise ValueError(message)
    is_ahead = times > np.array(logged) + AHEAD_MS if logged else np.zeros(n, np.bool_)
    kept = (types >= 0) & ~is_ahead
    found = Feedback(
        as_longs([slot_of(each.scenario) for each in rewards]),
        times,
        types,
        delays,
        np.array([each.reward for each in rewards], np.float64),
        numbers.astype(np.uint8).reshape(n, CONTEXT_SIZE),
    )
    left_out["unknown_type"] += int((types < 0).sum())
    left_out["ahead"] += int((is_ahead & (types >= 0)).sum())
    left_out["no_context"] += int((kept & (found.contexts[:, 0] == 0)).sum())
    return found if kept.all() else Feedback(*(column[kept] for column in found))  # type: ignore[arg-type]  # each keeps its own type


_NONE: Final = (0.0,) * CONTEXT_SIZE


def _contexts_of(exposures: Exposures, partition: int) -> Contexts:
    try:
        context = np.frombuffer(b64decode(exposures.context, validate=True), np.uint8)
    except Error as error:
        message = f"delta of partition {partition}: the exposures' context is no base64: {error}"
        raise ValueError(message) from None
    n, slates = len(exposures.slate), len(exposures.times)
    if context.size != n * CONTEXT_SIZE:
        message = (
            f"delta of partition {partition}: {n} exposures need {n * CONTEXT_SIZE} bytes of context, "
            f"it has {context.size}"
        )
        raise ValueError(message)
    if exposures.scenarios and len(exposures.scenarios) != slates:
        message = f"delta of partition {partition}: {slates} slates and {len(exposures.scenarios)} scenarios"
        raise ValueError(message)
    if not 0 <= min(exposures.slate) <= max(exposures.slate) < slates:
        message = f"delta of partition {partition}: an exposure of a slate that is not among its {slates}"
        raise ValueError(message)
    return context.reshape(n, CONTEXT_SIZE)
