import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import ORDER_START, BadLine, FormatError
from stream.formats.columns import TYPES, catalogue_of, check_columns, parse_columns, row_event

ROW = {"session": "s", "user": "u", "item": "i", "time": "1511658005"}


def test_pairs_are_given_one_by_one_or_with_commas() -> None:
    assert parse_columns(["session=sid,item=sku", "time=at = when"]) == {
        "session": "sid",
        "item": "sku",
        "time": "at = when",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sid", r"column 'sid' must be ROLE=NAME; roles are session, user, item,"),
        ("sku=item", "column 'sku=item' must be ROLE=NAME"),
        ("item=", "column 'item=' must be ROLE=NAME"),
        ("item=a,item=b", "column item is named twice: a and b"),
    ],
)
def test_what_is_no_column_is_told(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_columns([text])


@pytest.mark.parametrize("columns", [{"item": "sku"}, {"session": "sid", "user": "uid"}])
def test_the_item_and_the_session_or_user_must_be_named(columns: dict[str, str]) -> None:
    with pytest.raises(FormatError, match=r"say which columns are .* \(the file has sid, sku\)"):
        check_columns(columns, ["sid", "sku"])


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(FormatError, match="there is no column item=sky; the file has sid, sku"):
        check_columns({"item": "sky", "session": "sid"}, ["sid", "sku"])


def test_a_row_is_an_event() -> None:
    values = {**ROW, "type": "Buy", "quantity": "2", "price": "3.5"}
    assert row_event(values, 7, "csv") == Event(
        event_id="csv-7",
        type="purchase",
        user_id="u",
        session_id="s",
        time=1_511_658_005_000,
        items=(EventItem("i", 2.0, 3.5),),
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "click"),
        ("PV", "view"),
        ("addToCart", "add_to_cart"),
        ("transaction", "purchase"),
        ("fav", "like"),
    ],
)
def test_types_are_known_by_the_names_that_logs_give_them(name: str, kind: str) -> None:
    assert row_event({**ROW, "type": name}, 1, "csv").type == kind
    assert TYPES["search"] == "search"


def test_a_session_is_a_user_where_there_is_none() -> None:
    assert row_event({**ROW, "user": ""}, 1, "csv").user_id == "session-s"
    del (without := dict(ROW))["session"]
    assert row_event(without, 1, "csv").session_id is None


def test_without_a_time_the_order_counts() -> None:
    del (without := dict(ROW))["time"]
    assert [row_event(without, n, "csv").time - ORDER_START for n in (1, 2)] == [1000, 2000]


@pytest.mark.parametrize(
    "text", ["1511658005", "1511658005.0", "1511658005000", "2017-11-26T01:00:05Z", "2017-11-26 01:00:05 UTC"]
)
def test_a_time_is_seconds_milliseconds_or_iso(text: str) -> None:
    assert row_event({**ROW, "time": text}, 1, "csv").time == 1_511_658_005_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"item": ""}, "missing_item"),
        ({"user": "", "session": ""}, "missing_user"),
        ({"time": ""}, "wrong_time"),
        ({"time": "5"}, "wrong_time"),
        ({"type": "dance"}, "unknown_type"),
        ({"quantity": "0"}, "wrong_value"),
        ({"price": "-1"}, "wrong_value"),
    ],
)
def test_a_row_that_is_no_event_says_why(change: dict[str, str], reason: str) -> None:
    with pytest.raises(BadLine) as caught:
        row_event({**ROW, **change}, 1, "csv")
    assert caught.value.reason == reason


def test_the_catalogue_has_the_latest_of_what_rows_say() -> None:
    rows = [
        {"item": "i", "title": "Shoe", "brand": "b", "price": "5"},
        {"item": "", "title": "nothing", "brand": "", "price": ""},
        {"item": "i", "title": "", "brand": "c", "price": "soon"},
    ]
    assert list(catalogue_of(rows)) == [CatalogueItem(item_id="i", title="Shoe", brand="c", price=5.0)]


def test_without_a_column_of_the_catalogue_there_is_none() -> None:
    assert list(catalogue_of([ROW])) == []
