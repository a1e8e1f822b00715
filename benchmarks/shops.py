"""The simulated shop as a stream for `benchmarks.realism`: with slates of its own, and with the engine's."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmarks.streams import Column
from state.evaluation.traffic import traffic
from state.event import Event, Inbound, Origin
from state.models import Models
from state.profile import Profile
from state.recommend import Recommender
from state.simulation.config import ShopConfig, demo_config
from state.simulation.shop import Shop
from state.step import delta_of, step
from stream.closed_loop import slate_rows
from stream.config import Settings
from stream.times import parse_iso
from stream.worker import model_config, recommend_rules, shares, step_rules

START: Final = parse_iso("2025-11-24T00:00:00Z")
"""When the shop opens: a Monday."""
STEP_MS: Final = 1_900
"""How often the shop is looked at; below the 2 s that its shoppers wait for a slate."""
TOPIC: Final = "simulated"

DAYS: Final = 8
USERS: Final = 815
"""As many as the real histories of Taobao have."""
EVENTS_PER_SECOND: Final = 0.2
"""Impressions included; so that interactions are as many as Taobao's."""
SHORT_LACKS: Final = dict.fromkeys(("day", "rhythm"), "less than a day")
DEMO_SECONDS: Final = 60
DEMO_STEP_MS: Final = 50
DEMO_RATE: Final = 300.0
"""Events per second."""


def columns(seed: int) -> list[Column]:
    """The default shop at the size of Taobao's histories, and the demo's; each with both kinds of slates."""
    medium = ShopConfig(shoppers=USERS, events_per_second=EVENTS_PER_SECOND)
    demo = demo_config(DEMO_RATE)
    long, short = DAYS * 86_400, DEMO_SECONDS
    return [
        left_alone("Shop", medium, seconds=long, seed=seed),
        answered("Shop, engine", medium, seconds=long, seed=seed),
        left_alone("Demo shop", demo, seconds=short, seed=seed, step_ms=DEMO_STEP_MS),
        answered("Demo shop, engine", demo, seconds=short, seed=seed, step_ms=DEMO_STEP_MS),
    ]


def left_alone(name: str, config: ShopConfig, *, seconds: int, seed: int, step_ms: int = STEP_MS) -> Column:
    """The shop with the slates it shows on its own: popular items of the category that is looked at."""
    shop = Shop(config, seed=seed, start=START)
    what = f"{_size(config, seconds)}; slates of popular items of the category looked at"
    return _column(name, what, shop, _alone(shop, seconds, step_ms))


def answered(name: str, config: ShopConfig, *, seconds: int, seed: int, step_ms: int = STEP_MS) -> Column:
    """The shop with the engine's slates, learned in this process from these very shoppers."""
    shop = Shop(config, seed=seed, start=START)
    what = f"{_size(config, seconds)}; the engine's slates, learned from nothing"
    return _column(name, what, shop, _with_engine(shop, seconds, step_ms))


def _column(name: str, what: str, shop: Shop, events: Iterator[Event]) -> Column:
    # An item's id begins with its category's noun.
    categories = {item: item.rpartition("-")[0] for item in shop.item_ids}
    found = traffic(events, categories)
    return Column(name, what, found, {} if found.rhythm.hourly_peak else SHORT_LACKS)


def _size(config: ShopConfig, seconds: int) -> str:
    return f"{config.shoppers:,} shoppers, {config.items:,} items, {_long(seconds)}"


def _long(seconds: int) -> str:
    return f"{seconds / 86_400:.3g} days" if seconds >= 86_400 else f"{seconds} s"


def _alone(shop: Shop, seconds: int, step_ms: int) -> Iterator[Event]:
    for now in range(START, START + 1000 * seconds, step_ms):
        yield from shop.events(shop.advance(now))
        shop.serve(now)


def _with_engine(shop: Shop, seconds: int, step_ms: int) -> Iterator[Event]:
    engine = Engine(shop)
    for now in range(START, START + 1000 * seconds, step_ms):
        events = shop.events(shop.advance(now))
        yield from events
        engine.answer(events, now)


class Engine:
    """The engine's own step as one partition would take it, without a log: slates go straight to the shop."""

    def __init__(self, shop: Shop) -> None:
        settings = Settings()
        self._shop = shop
        self._models = Models(model_config(settings))
        self._slots = settings.slate_size
        self._decide = Recommender(self._models, shares(settings), recommend_rules(settings))
        self._rules = step_rules(settings)
        self._profiles: dict[str, Profile] = {}
        self._index = {item: n for n, item in enumerate(shop.item_ids)}
        self._offset = 0

    def answer(self, events: Sequence[Event], now: int) -> None:
        """Learn from these events, and show their shoppers what follows from them."""
        for item in self._shop.changes(now):
            self._models.upsert_item(item.item_id, item)
        if not events:
            return
        inbounds = [Inbound(event, Origin(TOPIC, 0, self._offset + n, now)) for n, event in enumerate(events)]
        self._offset += len(events)
        outcome = step(inbounds, self._profiles, self._decide, self._rules)
        self._profiles.update(outcome.profiles)
        self._models.learn([delta_of(outcome, (), partition=0, events=len(events), dead_letters=0)])
        latest = list({slate.user_id: slate for slate in outcome.slates}.values())
        if not latest:
            return
        shown = slate_rows(latest, self._index, self._slots)
        shoppers = np.array([int(slate.user_id.rpartition("-")[2]) for slate in latest], np.int32)
        self._shop.show(shoppers, shown, now, [slate.slate_id for slate in latest])
