"""All arrays of the shop, as the kernels take them, and the numbers they go by."""

from typing import Any, Final, NamedTuple

import numpy as np

from state.event import EVENT_TYPES
from state.kernel import kernel
from state.retrieval.arrays import DAY_MS, Doubles
from state.simulation.catalogue import Catalogue
from state.simulation.config import ShopConfig
from state.simulation.draws import Streams
from state.simulation.records import Record, Records, new_records
from state.simulation.sessions import Sessions
from state.simulation.shoppers import Shoppers

NEVER: Final = 1 << 62

# Streams of the shop itself; `SEED` is what those of shoppers and sessions are made from.
SEED: Final = 0
ARRIVALS: Final = 1
BURSTS: Final = 2
PRICES: Final = 3
STREAMS: Final = 4

CLOCK: Final = np.dtype(
    [
        ("start", np.int64),  # epoch ms of the first moment
        ("now", np.int64),  # epoch ms up to which everything has happened
        ("tick", np.int64),  # epoch ms of the next tick
        ("arrival", np.float64),  # epoch ms of the next session's start, if that is before the tick
        ("rate", np.float64),  # sessions per millisecond in this tick
        ("session_events", np.float64),  # events per arrival, averaged
        ("burst", np.float64),  # factor on the rate
        ("burst_end", np.int64),
        ("burst_category", np.int64),  # -1 outside bursts
        ("rows", np.int64),  # of `World.out` in use
        ("present", np.int64),  # sessions on the agenda
        ("free", np.int64),  # entries of `Sessions.free` in use
        ("started", np.int64),  # sessions so far
        ("ended", np.int64),
        ("turned_away", np.int64),  # arrivals of shoppers who were in the shop already
        ("shown", np.int64),  # slates handed over so far by `show`
        ("served", np.int64),  # and by `serve`
        ("seen", np.int64),  # slates seen so far
        ("missed", np.int64),  # times that a shopper waited for a slate and none came
        ("types", np.int64, (len(EVENT_TYPES),)),  # events by type
    ],
    align=True,
)

SAME: Final = (
    "bias", "taste_weight", "intent_weight", "quality_weight", "price_weight", "seen_factor",
    "cart_bias", "cart_fit_weight", "cart_price_weight", "checkout_now", "end_after_purchase",
    "taste_spread", "goal_spread", "explore_share", "come_back_share", "return_share", "wander_share",
    "drift", "drift_noise", "leave_a", "leave_b", "think_spread", "rhythm_amplitude", "rhythm_peak",
    "burst_focus", "considered", "longest_session", "patience_ms",
)  # fmt: skip
"""Parameters that the kernels take as they are."""
DERIVED: Final = (
    "think_ms",
    "restock_ms",
    "events_per_ms",
    "rate_gain",  # weight of one more session in the average of their events
    "at_start",  # sessions per millisecond in the first `think_ms`
    "rhythm_ms",
    "price_changes",  # per millisecond
    "bursts",  # per millisecond without one
    "burst_ms",
    "burst_least",
    "burst_most",
)
_COUNTS: Final = frozenset({"considered", "longest_session", "patience_ms", "restock_ms"})
RULES: Final = np.dtype(
    [(name, np.int64 if name in _COUNTS else np.float64) for name in (*SAME, *DERIVED)], align=True
)


class World(NamedTuple):
    """Everything."""

    catalogue: Catalogue
    shoppers: Shoppers
    sessions: Sessions
    clock: Records
    """[1] `CLOCK`"""
    streams: Streams
    """[STREAMS]"""
    rules: Records
    """[1] `RULES`"""
    examined: Doubles
    """[longest slate] probability that a position is looked at."""
    out: Records
    """[rows] `actions.ROW` that have not been handed over; `CLOCK` says how many."""


def new_rules(config: ShopConfig) -> Records:
    """Rules for this configuration."""
    bursts = config.bursts_per_day / DAY_MS
    burst_ms = 1000.0 * config.burst_seconds
    least = min(2.0, config.burst_factor)
    # A burst comes 1/bursts milliseconds after the last on average, and lasts `burst_ms`.
    share = bursts * burst_ms / (1.0 + bursts * burst_ms)
    mean_factor = 1.0 + share * (0.5 * (least + config.burst_factor) - 1.0)
    think_ms = 1000.0 * config.think_seconds
    derived: dict[str, Any] = {
        "think_ms": think_ms,
        "restock_ms": int(1000.0 * config.restock_seconds),
        "events_per_ms": config.events_per_second / 1000.0 / mean_factor,
        "rate_gain": 1.0 / config.rate_memory if config.rate_memory else 0.0,
        "at_start": config.sessions_at_start / think_ms,
        "rhythm_ms": 1000.0 * config.rhythm_seconds,
        "price_changes": config.price_changes_per_day / DAY_MS,
        "bursts": bursts,
        "burst_ms": burst_ms,
        "burst_least": least,
        "burst_most": config.burst_factor,
    }
    rules = new_records(1, RULES)
    for name in SAME:
        rules[name] = getattr(config, name)
    for name in DERIVED:
        rules[name] = derived[name]
    return rules


def new_clock(config: ShopConfig, start: int) -> Records:
    """The clock at the shop's first moment."""
    clock = new_records(1, CLOCK)
    clock.now = start - 1
    clock.start = clock.tick = start
    clock.arrival = NEVER
    clock.session_events = config.session_events
    clock.burst = 1.0
    clock.burst_category = -1
    return clock


@kernel
def emit(out: Records, clock: Record, session: Record, kind: int, line: int = 0) -> Record:
    """A row for what the session does now, of no item and no slate; the caller has made sure of room.

    Args:
        out: `World.out`.
        clock: Of the world.
        session: Who does it.
        kind: Event type, as code.
        line: Above 0 for a further item of the event before.
    """
    row = out[clock.rows]
    clock.rows += 1
    if line == 0:
        session.events += 1
        clock.types[kind] += 1
    row.time = session.time
    row.slate = 0
    row.shopper = session.shopper
    row.session = session.number
    row.number = session.events
    row.item = -1
    row.position = 0
    row.quantity = 1
    row.price = 0.0
    row.line = line
    row.type = kind
    return row
