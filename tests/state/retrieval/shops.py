"""Small random shops, and one source's scores at a time."""

import random

from state.catalogue import CatalogueItem
from state.retrieval.blend import SOURCES, Query, retrieve
from state.retrieval.config import ModelConfig
from state.slate import Delta

DAY = 86_400_000
T = 1_700_000_000_000
CLICK, PURCHASE = 2, 5


def make_delta(interactions):
    """A delta of (item id, session key, time, type code)."""
    names = list(dict.fromkeys(item for item, _, _, _ in interactions))
    place = {item: i for i, item in enumerate(names)}
    return Delta(
        partition=0,
        spans=(),
        events=len(interactions),
        duplicates=0,
        dead_letters=0,
        slates=0,
        items=tuple(names),
        item=tuple(place[item] for item, _, _, _ in interactions),
        session=tuple(session for _, session, _, _ in interactions),
        time=tuple(time for _, _, time, _ in interactions),
        type=tuple(code for _, _, _, code in interactions),
    )


def make_interactions(seed, events=300, items=25, sessions=60, days=30):
    """Random interactions; sessions overlap, items repeat, times mostly rise."""
    draw = random.Random(seed)
    return [
        (
            f"i{min(int(draw.expovariate(5 / items)), items - 1)}",
            draw.randint(1, sessions),
            T + i * days * DAY // events + draw.randint(-DAY, DAY),
            draw.choice([CLICK, CLICK, PURCHASE]),
        )
        for i in range(events)
    ]


def make_catalogue(items=25):
    """Entries for the items of `make_interactions`: few categories, brands, prices and words."""
    return [
        CatalogueItem(
            item_id=f"i{n}",
            title=f"{('red', 'blue')[n % 2]} thing of {('wool', 'tin', 'oak')[n % 3]}",
            category=f"c{n % 4}",
            brand=f"b{n % 5}" if n % 7 else None,
            price=1.5 * (1 + n),
            attributes={"size": n % 3, "tags": ["new"] if n % 6 == 0 else []},
        )
        for n in range(items)
    ]


def stock(models, items):
    """Put these items into the catalogue; returns the models."""
    for item in items:
        models.upsert_item(item.item_id, item)
    return models


def source_scores(models, source, session=(), history=(), session_key=0, now=T):
    """Score by item id of one source alone, over its maximum; `session` oldest first."""
    column = SOURCES.index(source)
    query = Query(session, history, now=now, size=10_000, session_key=session_key)
    found = retrieve(models, query)
    shares = found.contributions[:, column]
    top = shares.max(initial=0.0)
    return {models.item_ids[i]: s / top for i, s in zip(found.items, shares, strict=True) if s > 0}


def close(found, expected):
    """Whether two scorings agree on items and, to float32, on scores."""
    expected = {item: score for item, score in expected.items() if score > 1e-7}
    found = {item: score for item, score in found.items() if score > 1e-7}
    return found.keys() == expected.keys() and all(
        abs(found[item] - score) <= 2e-4 * max(score, 0.01) for item, score in expected.items()
    )


def show_everything(**changes):
    """A configuration that hides no item and cuts no list short, so that scores can be read off."""
    defaults = {
        "repeat_current_weight": 1.0,
        "repeat_earlier_weight": 1.0,
        "popularity_weight": 1.0,
        "history_weight": 1.0,
        "rule_weight": 1.0,
        "two_hop_weight": 1.0,
        "category_weight": 1.0,
        "hour_weight": 1.0,
        "content_weight": 1.0,
        "two_hop_through": 100,
        "two_hop_targets": 100,
    }
    return ModelConfig(**(defaults | changes))
