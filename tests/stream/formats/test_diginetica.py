from pathlib import Path

import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.formats.base import FormatError, Rejects
from stream.formats.diginetica import items, load

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "diginetica"
VIEWS = b"session_id;user_id;item_id;timeframe;eventdate\n"
PURCHASES = b"sessionId;userId;timeframe;eventdate;ordernumber;itemId\n"
MAY_9 = 1_462_752_000_000


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects)), rejects


def test_a_view_of_an_unknown_user_belongs_to_its_session() -> None:
    events, _ = loaded(VIEWS, b"1;NA;81766;526309;2016-05-09\n")
    assert events == [
        Event(
            event_id="diginetica-2",
            type="view",
            user_id="diginetica-s1",
            session_id="1",
            time=MAY_9 + 526_309,
            items=(EventItem("81766"),),
        )
    ]


def test_a_known_user_is_the_same_in_every_session() -> None:
    events, _ = loaded(VIEWS, b"1;7;81766;5;2016-05-09", b"2;7;81767;5;2016-05-10")
    assert [(event.user_id, event.session_id) for event in events] == [
        ("diginetica-7", "1"),
        ("diginetica-7", "2"),
    ]


def test_views_are_sorted_by_time() -> None:
    events, _ = loaded(VIEWS, b"1;NA;a;900;2016-05-09", b"1;NA;b;100;2016-05-09", b"2;NA;c;500;2016-05-08")
    assert [event.items[0].item_id for event in events] == ["c", "b", "a"]


def test_an_order_is_one_purchase() -> None:
    events, _ = loaded(
        PURCHASES,
        b"150;18278;200;2016-05-09;16421;25911",
        b"151;NA;100;2016-05-09;16290;175874",
        b"150;18278;210;2016-05-09;16421;25912",
    )
    assert [(e.user_id, e.order_id, [i.item_id for i in e.items], e.time - MAY_9) for e in events] == [
        ("diginetica-s151", "16290", ["175874"], 100),
        ("diginetica-18278", "16421", ["25911", "25912"], 200),
    ]
    assert {event.type for event in events} == {"purchase"}
    assert [event.event_id for event in events] == ["diginetica-3", "diginetica-2"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1;NA;81766;526309", "wrong_columns"),
        (b";NA;81766;526309;2016-05-09", "missing_user"),
        (b"1;NA;;526309;2016-05-09", "missing_item"),
        (b"1;NA;81766;soon;2016-05-09", "wrong_time"),
        (b"1;NA;81766;5;2016-02-30", "wrong_time"),
        (b"1;NA;\xff;5;2016-05-09", "not_utf8"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(VIEWS, line, b"\n", b"1;NA;5;5;2016-05-09")
    assert [event.event_id for event in events] == ["diginetica-4"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


@pytest.mark.parametrize("lines", [(), (b"",), (b"itemId;categoryId\n",), (b"\x00\xff",)])
def test_a_file_of_another_kind_is_refused_whole(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(FormatError, match="not a Diginetica file: the first line must be session_id;"):
        loaded(*lines)


def test_the_catalogue_has_categories_or_prices_and_hashed_names() -> None:
    rejects = Rejects()
    lines = [b"itemId;pricelog2;product.name.tokens\n", b"1;10;4875,776\n", b"2;;5\n", b"3;0;\n"]
    assert list(items([b"itemId;categoryId\n", b"139578;1096\n"], rejects)) == [
        CatalogueItem(item_id="139578", category="1096")
    ]
    assert not rejects.counts
    assert list(items(lines, rejects)) == [
        CatalogueItem(item_id="1", title="w4875 w776", price=1024.0),
        CatalogueItem(item_id="3", price=1.0),
    ]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(3, "wrong_value")]
    with pytest.raises(FormatError, match="the first line must be itemId;categoryId or itemId;pricelog2"):
        list(items([VIEWS], rejects))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "events", "items"),
    [("sample_train-item-views.csv.gz", 12_391, 12_391), ("train-purchases.csv.gz", 13_506, 18_025)],
)
def test_the_real_files_are_read_whole_and_in_order(name: str, events: int, items: int) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent: the real Diginetica file is NOT checked here")
    catalogue = DATA / "product-categories.csv.gz"
    file = EventFile(path, "diginetica", catalogue=[catalogue])
    assert sum(1 for item in file.items() if item.category) == 184_047
    found = list(file)
    assert not file.rejects.counts
    assert len(found) == events
    assert sum(len(event.items) for event in found) == items
    assert found == sorted(found, key=lambda event: event.time)
    assert len({event.event_id for event in found}) == events
