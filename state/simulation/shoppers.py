"""The shoppers: what each likes, can afford and remembers, in tens of bytes."""

import math
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel
from state.retrieval.arrays import Doubles, Floats
from state.simulation.catalogue import TASTE
from state.simulation.config import ShopConfig
from state.simulation.draws import Streams, draw_normal
from state.simulation.records import Record, Records, new_records

FAVOURITES: Final = 3
"""Favourite categories of a shopper."""
SHARES: Final = (0.55, 0.3, 0.15)
"""[FAVOURITES] how much each counts."""
RECENT: Final = 4
"""Items of the latest session that a shopper remembers."""
CHECKOUT_SHAPE: Final = 4.0
"""Sum of the parameters of the beta distribution that `Shoppers.checkout` is drawn from."""
BUSIEST: Final = 100.0
"""Most that a shopper's activity may be above the least."""


SHOPPER: Final = np.dtype(
    [
        ("recent", np.int32, (RECENT,)),  # latest items of the latest session, newest first; -1 for none
        ("favourites", np.int16, (FAVOURITES,)),  # categories; one may be there twice
        ("looks", np.int8),  # 1 where the shopper looks at slates
        ("sensitivity", np.float32),  # to prices, above 0
        ("budget", np.float32),  # log price above the category's middle that is still fine
        ("checkout", np.float32),  # share of sessions that buy what is in the cart
        ("sessions", np.int32),  # so far
        ("slot", np.int32),  # of the present session; 0 for none
    ],
    align=True,
)


class Shoppers(NamedTuple):
    """Shoppers by index."""

    rows: Records
    """[shoppers] `SHOPPER`."""
    cumulative: Doubles
    """[shoppers] cumulative activity, up to 1."""


def new_shoppers(config: ShopConfig, draws: np.random.Generator, sizes: Doubles) -> Shoppers:
    """Shoppers before their first session.

    Args:
        config: The shop's parameters.
        draws: Where random numbers come from.
        sizes: [categories] cumulative draw of categories: `Catalogue.size`.
    """
    n = config.shoppers
    rows = new_records(n, SHOPPER)
    for place in range(FAVOURITES):
        rows.favourites[:, place] = np.searchsorted(sizes, draws.random(n)).clip(0, sizes.size - 1)
    activity = np.minimum(1.0 + draws.pareto(config.activity_exponent, n), BUSIEST)
    np.cumsum(activity, out=activity)
    activity /= activity[-1]
    shape = CHECKOUT_SHAPE * config.checkout_mean
    rows.sensitivity = np.exp(config.sensitivity_spread * draws.standard_normal(n, np.float32))
    rows.budget = config.budget_spread * draws.standard_normal(n, np.float32)
    rows.checkout = _beta(draws, shape, CHECKOUT_SHAPE - shape, n)
    rows.looks = draws.random(n, np.float32) < config.looks_share
    rows.recent = -1
    return Shoppers(rows, activity)


def _beta(draws: np.random.Generator, a: float, b: float, n: int) -> Floats:
    if a <= 0.0 or b <= 0.0:
        return np.full(n, float(a > 0.0), np.float32)
    return draws.beta(a, b, n).astype(np.float32)


@kernel
def taste_of(person: Record, categories: Records, spread: float, session: Record) -> None:
    """Set the session's taste and intent to what the shopper likes, by the session's stream.

    That is favourite categories, and something of nobody else's. It is computed anew for each session, from
    the shopper's own stream, which is cheaper than to keep it.
    """
    taste = session.taste
    for axis in range(TASTE):
        taste[axis] = 0.0
    for place in range(FAVOURITES):
        centre = categories[person.favourites[place]].centre
        for axis in range(TASTE):
            taste[axis] += SHARES[place] * centre[axis]
    add_direction(session.stream, 0, spread, taste)
    normalise(taste)
    intent = session.intent
    for axis in range(TASTE):
        intent[axis] = taste[axis]


@kernel
def add_direction(streams: Streams, stream: int, length: float, vector: Floats) -> None:
    """Add a random direction, of about this length."""
    share = length / math.sqrt(TASTE)
    for axis in range(TASTE):
        vector[axis] += share * draw_normal(streams, stream)


@kernel
def normalise(vector: Floats) -> None:
    """Give the vector length 1."""
    total = 0.0
    for axis in range(vector.size):
        total += vector[axis] * vector[axis]
    share = 1.0 / math.sqrt(max(total, 1e-24))
    for axis in range(vector.size):
        vector[axis] *= share
