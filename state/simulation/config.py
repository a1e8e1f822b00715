"""Every number of the simulated shop, with its unit and range."""

import math
from typing import Final

from msgspec import Struct

SHARES: Final = (
    "news_share", "looks_share", "explore_share", "come_back_share", "return_share", "wander_share",
    "drift", "seen_factor", "checkout_mean", "checkout_now", "end_after_purchase", "rhythm_amplitude",
    "burst_focus",
)  # fmt: skip
COUNTS: Final = (
    "shoppers", "items", "categories", "brands", "considered", "longest_session", "stock_mean", "slots",
)  # fmt: skip
POSITIVE: Final = (
    "events_per_second", "session_events", "think_seconds", "rhythm_seconds", "burst_seconds",
    "burst_factor", "leave_a", "leave_b", "activity_exponent", "restock_seconds",
)  # fmt: skip
NOT_NEGATIVE: Final = (
    "category_exponent", "popularity_exponent", "brand_spread", "item_spread", "price_spread",
    "news_per_day", "price_changes_per_day", "sensitivity_spread", "budget_spread", "taste_spread",
    "goal_spread", "drift_noise", "examination_exponent", "patience_ms", "taste_weight", "intent_weight",
    "quality_weight", "price_weight", "think_spread", "rate_memory", "sessions_at_start", "bursts_per_day",
)  # fmt: skip


class ShopConfig(Struct, frozen=True, kw_only=True):
    """Parameters of the shop. A share is in [0, 1].

    The defaults are a shop of medium size on an ordinary day; `demo_config` has one in which
    all happens within a minute.

    Raises:
        ValueError: A parameter is out of its range; the message says which.
    """

    shoppers: int = 100_000
    items: int = 20_000
    """News included."""
    categories: int = 120
    brands: int = 60

    category_exponent: float = 1.1
    """Size and draw of the category of rank r fall as r^-this."""
    popularity_exponent: float = 0.3
    """Organic popularity of the item of rank r within its category falls as r^-this."""
    brand_spread: float = 0.35
    """Length of a brand's offset, beside category centres of length 1."""
    item_spread: float = 0.55
    """Length of an item's own offset."""
    price_spread: float = 0.5
    """Standard deviation of log price within a category."""
    news_share: float = 0.1
    """Share of items that arrive after the start."""
    news_per_day: float = 200.0
    """Items that arrive, per 24 hours; 0: none ever does."""
    price_changes_per_day: float = 200.0
    """Items that change their price, per 24 hours."""
    stock_mean: int = 200
    """Pieces of an item at the start and after a restock, on average; popular items have more."""
    restock_seconds: float = 21_600.0
    """Time from sold out to restocked."""

    activity_exponent: float = 2.1
    """Shoppers' rates of sessions are Pareto with this exponent: the lower, the fewer make most."""
    looks_share: float = 0.9
    """Share of shoppers who look at slates; the others only browse, and do not wait for one."""
    sensitivity_spread: float = 0.5
    """Standard deviation of a shopper's log price sensitivity, whose median is 1."""
    budget_spread: float = 0.5
    """Standard deviation of a shopper's budget: the log price by the category's middle that is still fine."""
    taste_spread: float = 0.4
    """Length of a shopper's own offset from the mixture of favourite categories."""
    explore_share: float = 0.15
    """Share of sessions whose goal is no favourite category."""
    come_back_share: float = 0.3
    """Share of later sessions that begin at an item of the session before."""
    goal_spread: float = 0.3
    """Length of the offset of a session's intent from its goal's centre."""

    leave_a: float = 1.4
    leave_b: float = 2.6
    """A session's probability to leave at a step without a click is Kumaraswamy(a, b), much like a beta
    distribution on [0, 1]. The lower a, the heavier the tail of session lengths."""
    longest_session: int = 300
    """Steps after which a session ends in any case."""
    return_share: float = 0.18
    """Share of organic views that go back to an item seen before in the session."""
    wander_share: float = 0.35
    """Share of organic views that turn to a related category."""
    considered: int = 3
    """Items of a category, drawn by popularity, among which an organic view is chosen by attraction."""
    drift: float = 0.25
    """Share of an item looked at in the next intent: rho."""
    drift_noise: float = 0.1
    """Length of the random part of a drift."""

    slots: int = 10
    """Longest slate that is looked at; positions beyond are not seen."""
    examination_exponent: float = 0.6
    """eta: position k is looked at with probability k^-eta."""
    patience_ms: int = 2_000
    """How long a shopper waits for a slate before going on without."""
    bias: float = -7.7
    """Attraction, on the logit scale: of an item that fits nothing."""
    taste_weight: float = 1.5
    """Per cosine of shopper's taste and item."""
    intent_weight: float = 6.0
    """Per cosine of session's intent and item."""
    quality_weight: float = 0.6
    """Per standard deviation of quality."""
    price_weight: float = 1.0
    """Per unit of log price above the budget, for a shopper of sensitivity 1."""
    seen_factor: float = 0.25
    """Factor on the attraction of an item seen before in the session."""

    cart_bias: float = -3.6
    """Putting a clicked item into the cart, on the logit scale."""
    cart_fit_weight: float = 1.5
    """Per cosine of intent and item."""
    cart_price_weight: float = 0.7
    """As `price_weight`."""
    checkout_mean: float = 0.45
    """Mean over shoppers of the share of sessions that buy what is in the cart."""
    checkout_now: float = 0.5
    """Share of carts, in sessions that buy, that go to the checkout at once, not at the end."""
    end_after_purchase: float = 0.7
    """Share of purchases that end the session."""

    think_seconds: float = 40.0
    """Median time between two actions."""
    think_spread: float = 1.25
    """Standard deviation of its logarithm."""

    events_per_second: float = 50.0
    """What the shop aims at on average, over rhythm but without bursts."""
    session_events: float = 16.0
    """Events per session to begin with; the shop then goes by its own."""
    rate_memory: int = 2_000
    """Sessions over which it averages them; 0: it stays with `session_events`."""
    sessions_at_start: int = 0
    """Sessions that begin within the first `think_seconds`, so that the shop is not empty at first."""
    rhythm_amplitude: float = 0.85
    """The rate follows 1 + this * cos, highest at `rhythm_peak`."""
    rhythm_seconds: float = 86_400.0
    rhythm_peak: float = 0.83
    """Part of the period, from epoch 0: 20:00 UTC for a day."""
    bursts_per_day: float = 6.0
    """Mean number per 24 hours; 0: none."""
    burst_seconds: float = 240.0
    burst_factor: float = 5.0
    """Sessions in a burst begin up to this many times as often, at least twice (unless this is less)."""
    burst_focus: float = 0.6
    """Share of a burst's sessions that are after the one category it is about."""

    def __post_init__(self) -> None:
        for names, fits, range_ in (
            (SHARES, _is_share, "in [0, 1]"),
            (COUNTS, _is_count, "at least 1"),
            (POSITIVE, _is_positive, "above 0"),
            (NOT_NEGATIVE, _is_not_negative, "at least 0"),
        ):
            for name in names:
                if not fits(getattr(self, name)):
                    message = f"{name} must be {range_}, got {getattr(self, name)}"
                    raise ValueError(message)
        if self.items < self.categories:
            message = f"items must be at least as many as categories ({self.categories}), got {self.items}"
            raise ValueError(message)
        if self.rhythm_amplitude == 1.0:
            message = "rhythm_amplitude must be below 1: the rate must not reach 0"
            raise ValueError(message)


def _is_share(value: float) -> bool:
    return 0.0 <= value <= 1.0


def _is_count(value: float) -> bool:
    return value >= 1


def _is_positive(value: float) -> bool:
    return 0.0 < value < math.inf


def _is_not_negative(value: float) -> bool:
    return 0.0 <= value < math.inf


def demo_config(events_per_second: float) -> ShopConfig:
    """A shop in which everything happens within a minute: thoughts of a second, bursts, news, sold-out items.

    It has 2,000 shoppers, or as many more as that rate needs for them not to be in the shop all the time.
    What they do has a clearer structure than by default, so that a minute is enough to learn some of it: they
    keep to a category, and popular items are more popular.
    """
    return ShopConfig(
        shoppers=max(2_000, int(8 * events_per_second)),
        items=1_200,
        categories=60,
        brands=24,
        category_exponent=0.7,
        popularity_exponent=0.8,
        considered=8,
        wander_share=0.12,
        return_share=0.15,
        come_back_share=0.25,
        seen_factor=0.5,
        leave_a=1.3,
        leave_b=5.0,
        news_share=0.1,
        news_per_day=1.0 * 86_400,
        price_changes_per_day=0.5 * 86_400,
        stock_mean=2,
        restock_seconds=20.0,
        think_seconds=1.0,
        think_spread=0.6,
        bias=-8.0,
        events_per_second=events_per_second,
        session_events=15.0,
        rate_memory=10_000,
        sessions_at_start=max(1, int(0.6 * events_per_second)),
        rhythm_amplitude=0.2,
        rhythm_seconds=40.0,
        bursts_per_day=86_400 / 12.0,
        burst_seconds=7.0,
        burst_factor=3.0,
    )
