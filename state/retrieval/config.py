"""Every number of the shared models and of retrieval, with its unit."""

from collections.abc import Iterable
from math import isfinite
from typing import Final

from msgspec import Struct

from state.event import EVENT_TYPES

_TYPE_WEIGHTS: Final = {"view": 1.0, "click": 1.0, "like": 2.0, "add_to_cart": 3.0, "purchase": 6.0}

SOURCE_WEIGHTS: Final = {
    "session_knn": "session_weight",
    "sequence_rules": "rule_weight",
    "popularity": "popularity_weight",
    "history": "history_weight",
    "two_hop": "two_hop_weight",
    "category": "category_weight",
    "hour": "hour_weight",
    "content": "content_weight",
}
"""Candidate sources in the order of their columns, and the field that holds each one's weight."""

_FOLDED: Final = (
    "max_sessions",
    "session_items",
    "postings",
    "length_exponent",
    "similarity_exponent",
    "session_decay_days",
    "rule_steps",
    "rule_targets",
    "rule_backward_weight",
    "rule_decay_days",
    "popularity_decay_days",
    "popularity_pool",
    "type_weights",
    "hour_room",
    "hour_decay_days",
    "content_features",
    "content_listed",
)

_AT_LEAST_ONE: Final = (
    "postings",
    "neighbours",
    "rule_steps",
    "rule_targets",
    "two_hop_through",
    "two_hop_targets",
    "popularity_pool",
    "hour_targets",
    "category_items",
    "content_features",
    "content_listed",
    "content_items",
)


class ModelConfig(Struct, frozen=True, kw_only=True):
    """Parameters of the shared models of one worker.

    The weights were tuned on week 15 of Diginetica, but for those of repeats: a shop never wants to show the
    item that one is looking at.

    Fields marked *folded* are part of the learned numbers: a snapshot taken under other values
    must not be continued.
    """

    max_sessions: int = 262_144
    """Folded. Sessions kept, a power of two; then the oldest is forgotten."""
    session_items: int = 32
    """Folded. Distinct items kept per session; then the oldest is dropped. [1, 127]"""
    postings: int = 500
    """Folded. Newest sessions kept per item (m)."""
    neighbours: int = 90
    """Nearest sessions that vote (k)."""
    query_items: int = 12
    """Most recent distinct items of the current session that look for neighbours. [1, 127]"""
    match_decay_steps: float = 4.75
    """spw: a shared item j steps back counts e^{-(j-1)/spw}."""
    length_exponent: float = 0.2
    """Folded. alen: similarity is divided by |session|^alen."""
    idf_exponent: float = 2.2
    """kap: a shared item counts idf^kap."""
    similarity_exponent: float = 1.6
    """Folded. psi: similarities are raised to it before ageing."""
    session_decay_days: float = 160.0
    """Folded. snh: a session's vote falls by e in this time."""
    after_decay_steps: float = 3.95
    """inhf: an item p places after the last match gets e^{-p/inhf}."""
    before_decay_steps: float = 4.8
    """inhb: the same before the last match."""
    before_weight: float = 0.85
    """beta: further factor before the last match."""
    vote_decay_steps: float = 2.35
    """ipw: a neighbour whose most recent shared item is j steps back votes e^{-(j-1)/ipw}."""
    idf_weight: float = 7.0
    """idfl: an item's votes are multiplied by 1 + idfl * idf."""
    session_weight: float = 1.0
    """Weight of session neighbours beside the other sources; what has weight 0 is not even looked up."""

    rule_steps: int = 6
    """Folded. How far back in the session a rule reaches."""
    rule_targets: int = 200
    """Folded. Targets kept per item; then the weakest is dropped."""
    rule_backward_weight: float = 0.3
    """Folded. Weight of the rule against the order of time."""
    rule_decay_days: float = 60.0
    """Folded. tau: evidence falls by e in this time."""
    rule_query_decay_steps: float = 1.4
    """l_c: rules of the item j steps back count e^{-(j-1)/l_c}."""
    rule_weight: float = 0.05
    """Weight beside session neighbours, as all weights of sources: each is scaled to a maximum of 1."""

    two_hop_through: int = 20
    """Best targets of the rules that are looked up once more."""
    two_hop_targets: int = 20
    """Strongest targets read of each."""
    two_hop_weight: float = 0.065

    popularity_decay_days: float = 7.0
    """Folded. An interaction's weight falls by e in this time."""
    popularity_pool: int = 128
    """Folded. Most popular items kept at hand."""
    popularity_weight: float = 0.003
    type_weights: tuple[float, ...] = tuple(_TYPE_WEIGHTS.get(name, 0.0) for name in EVENT_TYPES)
    """Folded. [len(EVENT_TYPES)] what one interaction of a type adds to an item's popularity."""

    category_items: int = 4
    """Most recent distinct items of the current session whose categories are looked into."""
    category_decay_steps: float = 1.0
    """The category of the item j steps back counts e^{-(j-1)/this}."""
    category_weight: float = 0.3

    hour_targets: int = 256
    """Most popular items kept for each hour of the day, where `hour_weight` is above 0."""
    hour_decay_days: float = 14.0
    """Folded. An interaction's weight in its hour falls by e in this time."""
    hour_weight: float = 0.0

    content_features: int = 16
    """Folded. Features of an item that the catalogue tells apart."""
    content_listed: int = 64
    """Folded. Newest items kept of each feature."""
    content_items: int = 2
    """Most recent distinct items of the current session that others are compared with."""
    content_decay_steps: float = 1.0
    """Those like the item j steps back count e^{-(j-1)/this}."""
    content_fade_sessions: float = 10.0
    """An item that so many sessions hold counts half of one that is new."""
    content_weight: float = 0.05

    history_items: int = 16
    """Most recent distinct items of former sessions that come back as candidates."""
    history_decay_steps: float = 8.0
    """The item j steps back counts e^{-(j-1)/this}."""
    history_weight: float = 0.03

    repeat_current_weight: float = 0.0
    """wlast: factor on the score of the item the session is at; 0 drops it."""
    repeat_earlier_weight: float = 1.2
    """wrem: factor on the scores of the session's earlier items; 0 drops them."""

    def source_weights(self) -> tuple[float, ...]:
        """Weight of each source, in the order of their columns."""
        return tuple([getattr(self, field) for field in SOURCE_WEIGHTS.values()])

    @property
    def hour_room(self) -> int:
        """Folded. Items kept for each hour: none where they weigh nothing, so that no event pays for them."""
        return self.hour_targets if self.hour_weight > 0 else 0

    def folded(self) -> str:
        """The folded values as text: equal where learned numbers may be exchanged."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in _FOLDED)

    def __post_init__(self) -> None:
        if self.max_sessions < 1 or self.max_sessions & (self.max_sessions - 1):
            message = f"max_sessions must be a power of two, got {self.max_sessions}"
            raise ValueError(message)
        for name in ("session_items", "query_items"):
            if not 1 <= getattr(self, name) <= 127:
                message = f"{name} must be in [1, 127], got {getattr(self, name)}"
                raise ValueError(message)
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                message = f"{name} must be at least 1, got {getattr(self, name)}"
                raise ValueError(message)
        if len(self.type_weights) != len(EVENT_TYPES):
            message = f"type_weights needs one number for each of {', '.join(EVENT_TYPES)}"
            raise ValueError(message)
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith(("_days", "_steps", "fade_sessions")) and value <= 0:
                message = f"{name} must be above 0, got {value}"
                raise ValueError(message)
            if (name.endswith("_weight") and value < 0) or (name == "type_weights" and min(value) < 0):
                message = f"{name} must not be negative, got {value}"
                raise ValueError(message)


def parse_weights(pairs: Iterable[str]) -> dict[str, float]:
    """Fields of `ModelConfig` from pairs such as `category=0.3`, whose names are those of sources.

    Raises:
        ValueError: A pair is none, or names no source, or its weight is no number from 0 on.
    """
    weights = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        field = SOURCE_WEIGHTS.get(name.strip())
        if field is None:
            message = f"{pair!r} is not one of {', '.join(SOURCE_WEIGHTS)} with =weight behind it"
            raise ValueError(message)
        try:
            weight = float(text)
        except ValueError:
            weight = -1.0
        if not (isfinite(weight) and weight >= 0):
            message = f"{pair!r}: the weight must be a number from 0 on"
            raise ValueError(message)
        weights[field] = weight
    return weights
