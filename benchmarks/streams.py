"""The real logs that `benchmarks.realism` sets beside the simulated shop, and what each cannot say."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from state.evaluation.traffic import Traffic, traffic
from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.times import parse_iso


class Column(NamedTuple):
    """One stream's statistics, and what it cannot say."""

    name: str
    source: str
    """What the stream is, in a line."""
    traffic: Traffic
    lacks: Mapping[str, str]
    """Why a row, or all rows of a group, is empty, by its name."""


class Absent(NamedTuple):
    """A stream that could not be read."""

    name: str
    path: Path


NO_CATEGORIES: Final = "no categories"
NO_PRICES: Final = "no prices"
NO_SLATES: Final = "what was shown is not logged"
SESSION_USERS: Final = "every session is a user of its own"
VIEWS_ONLY: Final = "views only"
NO_CLOCK: Final = "no time of day"
INVOICES_ONLY: Final = "invoices only: nobody is seen browsing"
TWENTY: Final = "20 visitors are too few"
THINNED: Final = (
    "a sample of events, not of users: 1.6 a user, where full histories have 5.8 in the same two hours"
)

TAOBAO_LACKS: Final = {
    "value": NO_PRICES,
    "value per session": NO_PRICES,
    "slates": NO_SLATES,
    "baskets": "an event per item, orders have no name",
}
VIEWS_LACK: Final = dict.fromkeys(
    ("funnel", "orders", "baskets", "value", "value per session"), VIEWS_ONLY
) | {
    "sessions per user": SESSION_USERS,
    "users": SESSION_USERS,
    "returns": SESSION_USERS,
    "slates": NO_SLATES,
    "day": NO_CLOCK,
    "rhythm": NO_CLOCK,
}


def taobao_histories(data: Path) -> Column | Absent:
    """Full histories of 815 users over eight days."""
    what = "full histories of 815 users, 25 November to 2 December 2017"
    return _file(data / "taobao/users_8day.csv.gz", "taobao", ("Taobao 8 days", what), TAOBAO_LACKS)


def taobao_arrivals(data: Path) -> Column | Absent:
    """Two hours of arrivals, thinned."""
    cut = (
        "sessions per user",
        "sessions",
        "single",
        "times",
        "repeats",
        "returns",
        "categories",
        "users",
        "orders",
    )
    lacks = TAOBAO_LACKS | dict.fromkeys(cut, THINNED) | {"day": "less than a day"}
    what = "arrivals of two hours of 26 November 2017, thinned"
    return _file(data / "taobao/stream_2h.csv.gz", "taobao", ("Taobao 2 h", what), lacks)


def otto(data: Path) -> Column | Absent:
    """Twenty visitors over four weeks."""
    lacks = dict.fromkeys(("day", "rhythm", "items", "users"), TWENTY) | {
        "categories": NO_CATEGORIES,
        "value": NO_PRICES,
        "value per session": NO_PRICES,
        "slates": NO_SLATES,
    }
    what = "20 visitors over four weeks of August 2022"
    return _file(data / "fixtures/otto.jsonl", "otto", ("OTTO fixture", what), lacks)


def diginetica_views(data: Path) -> Column | Absent:
    """A sample of raw views: times within a session, but no time of day."""
    path = data / "diginetica/sample_train-item-views.csv.gz"
    name = "Diginetica views"
    if not path.is_file():
        return Absent(name, path)
    categories = _categories(data / "diginetica/product-categories.csv.gz")
    lacks = VIEWS_LACK if categories else VIEWS_LACK | {"categories": NO_CATEGORIES}
    # A user's sessions of one day all begin at midnight here, so they must not interleave.
    events = (structs.replace(each, user_id=str(each.session_id)) for each in EventFile(path, "diginetica"))
    return Column(name, "raw sample of item views", traffic(events, categories), lacks)


def diginetica_week(data: Path) -> Column | Absent:
    """A week of prepared sessions: an order, and no times."""
    path = data / "diginetica_stream/period_16.txt.gz"
    name = "Diginetica week"
    if not path.is_file():
        return Absent(name, path)
    lacks = VIEWS_LACK | {
        "span": NO_CLOCK,
        "times": NO_CLOCK,
        "single": "sessions of one were removed",
        "categories": NO_CATEGORIES,
    }
    source = "sessions of its last week as published for recommendation, those of one and rare items removed"
    return Column(name, source, traffic(_ordered(path)), lacks)


def online_retail(data: Path) -> Column | Absent:
    """A year of invoices of a wholesaler."""
    browsing = ("sessions per user", "sessions", "single", "times", "repeats", "categories", "slates")
    lacks = dict.fromkeys((*browsing, "funnel", "orders", "value per session"), INVOICES_ONLY)
    what = "a wholesaler's invoices of a year, values in GBP"
    return _file(data / "online_retail/online_retail.csv.gz", "online-retail", ("Online Retail", what), lacks)


def open_bandit(data: Path) -> Iterator[Column | Absent]:
    """Single impressions of fashion items at three positions, chosen at random and by Thompson sampling."""
    for name in ("random", "bts"):
        path = data / "open_bandit" / name / "all.csv.gz"
        title = f"Open Bandit, {name}"
        if path.is_file():
            yield Column(title, "ZOZOTOWN, campaign all, 10,000 impressions", traffic(_bandit_rows(path)), {})
        else:
            yield Absent(title, path)


REAL: Final = (
    taobao_histories,
    taobao_arrivals,
    otto,
    diginetica_views,
    diginetica_week,
    online_retail,
)
"""Of the traffic table; each gives one stream, or says that it is absent."""


def _file(path: Path, form: str, named: tuple[str, str], lacks: Mapping[str, str]) -> Column | Absent:
    name, what = named
    if not path.is_file():
        return Absent(name, path)
    source = EventFile(path, form)
    categories = {
        line.item_id: str(event.context["category_id"])
        for event in source
        if "category_id" in event.context
        for line in event.items
    }
    return Column(name, what, traffic(source, categories), lacks)


def _categories(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with gzip.open(path, "rt") as lines:
        return {row["itemId"]: row["categoryId"] for row in csv.DictReader(lines, delimiter=";")}


def _ordered(path: Path) -> Iterator[Event]:
    """Views in their order; the times are made up, and no statistic that needs one may be shown."""
    with gzip.open(path, "rt") as lines:
        for number, line in enumerate(lines):
            session, item = line.split()
            yield Event(
                event_id=str(number),
                type="view",
                user_id=session,
                session_id=session,
                time=number,
                items=(EventItem(item),),
            )


def _bandit_rows(path: Path) -> Iterator[Event]:
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            number, item = row[""], (EventItem(row["item_id"]),)
            time, position = parse_iso(row["timestamp"]), int(row["position"])
            for kind in ("impression", "click")[: 1 + int(row["click"])]:
                yield Event(
                    event_id=f"{kind}-{number}",
                    type=kind,
                    user_id=number,
                    time=time,
                    items=item,
                    position=position,
                )
