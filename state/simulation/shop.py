"""The shop: its catalogue, shoppers and sessions behind one door."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from state.catalogue import CatalogueItem
from state.event import EVENT_TYPES, Event
from state.retrieval.arrays import Doubles, Ints
from state.simulation.actions import ROW, Actions, columns, joined
from state.simulation.arrivals import DONE, SHORT, run
from state.simulation.catalogue import new_catalogue
from state.simulation.choice import best_items, cart_chance, click_chance
from state.simulation.config import ShopConfig
from state.simulation.entrance import settle_in
from state.simulation.offers import offer, serve_popular
from state.simulation.records import new_records
from state.simulation.sessions import grown, new_sessions
from state.simulation.shoppers import new_shoppers
from state.simulation.wire import catalogue_item, event_list, item_names
from state.simulation.world import STREAMS, World, new_clock, new_rules

OUT_ROWS: Final = 1 << 15
"""Rows that one call of the kernel may write."""
NAMES: Final = 1 << 17
"""Latest shown slates whose names are kept. A power of two."""


class Tally(NamedTuple):
    """What has happened so far."""

    events: dict[str, int]
    """By type."""
    sessions_started: int
    sessions_ended: int
    sessions_present: int
    turned_away: int
    """Arrivals of shoppers who were in the shop already; they count for nothing."""
    slates_seen: int
    slates_missed: int
    """Times that a shopper waited for a slate and went on without."""
    session_events: float
    """Events per session, averaged over the latest `ShopConfig.rate_memory`."""
    burst: int
    """Index of the category that a burst is about now, or -1."""


class Shop:
    """A simulated shop that is moved on from outside, and shows what it is given.

    Not thread-safe. The same seed and the same calls give the same actions; how the time is cut into calls
    of `advance` makes no difference as long as no slate is shown.

    Args:
        config: Parameters.
        seed: At least 0.
        start: Epoch ms of the first moment.

    Attributes:
        config: Parameters.
        item_ids: [items] readable: `tent-12`.
        catalogue: Arrays by item.
        shoppers: Arrays by shopper.
        last_seen: [seen] rows of the latest `show` that were seen.
        last_expected: [seen] true click probability of each of those slates.
        last_best: [seen] that of the best slate there could have been.
    """

    def __init__(self, config: ShopConfig, *, seed: int, start: int) -> None:
        draws = np.random.Generator(np.random.PCG64(seed))
        self.config: Final = config
        self.catalogue: Final = new_catalogue(config, draws, start)
        self.shoppers: Final = new_shoppers(config, draws, self.catalogue.size)
        self.item_ids: Final = item_names(self.catalogue)
        self.last_seen: Ints = np.zeros(0, np.int32)
        self.last_expected: Doubles = np.zeros(0)
        self.last_best: Doubles = np.zeros(0)
        self._clock: Final = new_clock(config, start)
        self._run: Final = f"{start:x}"
        self._names: Final[list[str | None]] = [None] * NAMES
        out = new_records(OUT_ROWS, ROW)
        # As a plain array: outside of kernels, fields of a record array are slow to get.
        self._rows: Final = np.asarray(out)
        self._world = World(
            catalogue=self.catalogue,
            shoppers=self.shoppers,
            sessions=new_sessions(config.slots),
            clock=self._clock,
            streams=np.asarray(np.random.SeedSequence(seed).generate_state(STREAMS, np.uint64), np.uint64),
            rules=new_rules(config),
            examined=np.arange(1.0, config.slots + 1.0) ** -config.examination_exponent,
            out=out,
        )
        self._grow()

    @property
    def now(self) -> int:
        """Epoch ms up to which everything has happened."""
        return int(self._clock.now[0])

    def advance(self, now: int) -> Actions:
        """Let everything happen up to `now`, epoch ms; returns what shoppers did.

        Raises:
            ValueError: `now` is before an earlier one.
        """
        self._check(now)
        parts = []
        stopped = -1
        while stopped != DONE:
            stopped = run(self._world, now)
            if stopped == SHORT:
                self._grow()
                continue
            parts.append(columns(self._rows[: self._clock.rows[0]]))
            self._clock.rows = 0
        return joined(parts)

    def show(self, shoppers: Ints, slates: Ints, now: int, slate_ids: Sequence[str]) -> int:
        """Show slates to those of the shoppers who wait for one.

        Each that is seen leads, by later calls of `advance`, to an impression and perhaps to a click.
        `last_seen`, `last_expected` and `last_best` then tell of this call.

        Args:
            shoppers: [m] indices.
            slates: [m, k] items, -1 where there is none. Places beyond `ShopConfig.slots` are not seen.
            now: Epoch ms; not before the latest `advance`.
            slate_ids: [m] what the impressions and clicks will name.

        Returns:
            How many were seen.

        Raises:
            ValueError: `now` is too early, or the lengths differ.
        """
        self._check(now)
        m = len(shoppers)
        if len(slate_ids) != m or slates.ndim != 2 or len(slates) != m:
            message = f"show needs as many slates [m, k] and slate_ids as shoppers ({m})"
            raise ValueError(message)
        seen, expected, best = np.zeros(m, np.int32), np.zeros(m), np.zeros(m)
        count = offer(
            self._world,
            np.ascontiguousarray(shoppers, np.int32),
            np.ascontiguousarray(slates, np.int32),
            now,
            seen,
            expected,
            best,
        )
        self.last_seen, self.last_expected, self.last_best = seen[:count], expected[:count], best[:count]
        first = int(self._clock.shown[0]) - count + 1
        for number, row in enumerate(self.last_seen.tolist(), first):
            self._names[number % NAMES] = slate_ids[row]
        return count

    def serve(self, now: int) -> int:
        """Show every waiting session popular items of the category it is in; returns how many.

        So the shop makes impressions and clicks without an engine. Call it at least every
        `ShopConfig.patience_ms` of the shop's time.

        Raises:
            ValueError: `now` is before the latest `advance`.
        """
        self._check(now)
        return serve_popular(self._world, now)

    def events(self, actions: Actions) -> list[Event]:
        """What `advance` returned, as events."""
        return event_list(actions, self.item_ids, self._slate_name, self._run)

    def changes(self, now: int) -> list[CatalogueItem]:
        """What the catalogue says anew since the last call: at first, every item there is.

        Arrivals, prices, sold out and in stock again, as of the latest `advance`.

        Raises:
            ValueError: `now` is before it.
        """
        self._check(now)
        changed = self.catalogue.items.changed
        items = np.flatnonzero(changed)
        changed[items] = 0
        return [catalogue_item(self.catalogue, self.item_ids[item], item) for item in items.tolist()]

    def click_probability(self, shopper: int, slate: Ints) -> float:
        """True probability that this shopper, as of now, clicks something of this slate [k]."""
        return click_chance(self._world, self._slot(shopper), np.ascontiguousarray(slate, np.int32))

    def best_slate(self, shopper: int, k: int) -> Ints:
        """The slate with the highest `click_probability`: up to k items [k], best first."""
        best = np.zeros(k, np.int32)
        return best[: best_items(self._world, self._slot(shopper), best, np.zeros(k))]

    def purchase_probability(self, shopper: int, item: int) -> float:
        """True probability that this shopper, as of now, buys the item if it is clicked next.

        As long as it does not sell out until the checkout.
        """
        world = self._world
        session, person = world.sessions.rows[self._slot(shopper)], self.shoppers.rows[shopper]
        return cart_chance(world.rules[0], session, person, self.catalogue.items, item) * float(
            person.checkout
        )

    def tally(self) -> Tally:
        """What has happened so far."""
        clock = self._clock[0]
        return Tally(
            events=dict(zip(EVENT_TYPES, clock.types.tolist(), strict=True)),
            sessions_started=int(clock.started),
            sessions_ended=int(clock.ended),
            sessions_present=int(clock.present),
            turned_away=int(clock.turned_away),
            slates_seen=int(clock.seen),
            slates_missed=int(clock.missed),
            session_events=float(clock.session_events),
            burst=int(clock.burst_category),
        )

    def _slot(self, shopper: int) -> int:
        """The shopper's session, or slot 0 with this shopper in it, who wants nothing in particular."""
        slot = int(self.shoppers.rows.slot[shopper])
        if not slot:
            settle_in(self._world, 0, shopper)
        return slot

    def _slate_name(self, number: int) -> str | None:
        if number < 0:
            return f"popular-{-number}"
        return self._names[number % NAMES] if self._clock.shown[0] - number < NAMES else None

    def _grow(self) -> None:
        sessions, free = grown(self._world.sessions, int(self._clock.free[0]))
        self._clock.free = free
        self._world = self._world._replace(sessions=sessions)

    def _check(self, now: int) -> None:
        if now < self.now:
            message = f"the shop's time does not go back: {now} is before {self.now}"
            raise ValueError(message)
