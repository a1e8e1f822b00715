import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import FormatError, Rejects
from stream.formats.rees46 import items, load

HEADER = b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
OCT_1 = 1_569_888_000_000
ROW = (
    b"2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,"
    b"72d76fde-8bb3-4e00-8c23-a032dfed738c\n"
)


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load([HEADER, *lines], rejects)), rejects


def test_a_row_is_an_event_of_its_user_and_session() -> None:
    events, rejects = loaded(ROW)
    assert events == [
        Event(
            event_id="rees46-2",
            type="view",
            user_id="541312140",
            session_id="72d76fde-8bb3-4e00-8c23-a032dfed738c",
            time=OCT_1,
            items=(EventItem("44600062", 1.0, 35.79),),
        )
    ]
    assert not rejects.counts


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"cart", "add_to_cart"),
        (b"remove_from_cart", "remove_from_cart"),
        (b"purchase", "purchase"),
    ],
)
def test_every_type_of_the_shops_is_known(name: bytes, kind: str) -> None:
    (event,), _ = loaded(ROW.replace(b"view", name))
    assert event.type == kind


def test_a_row_without_a_session_is_an_event_all_the_same() -> None:
    (event,), _ = loaded(ROW.rpartition(b",")[0] + b",\n")
    assert event.session_id is None


def test_an_item_has_its_latest_category_brand_and_price() -> None:
    found = list(
        items(
            [
                HEADER,
                ROW,
                ROW.replace(b",,shiseido,35.79", b",apparel.shoes,,30"),
                ROW.replace(b"44600062", b"5").replace(b"35.79", b"0.00"),
                b"nonsense\n",
            ],
            Rejects(),
        )
    )
    assert found == [
        CatalogueItem(item_id="44600062", category="apparel.shoes", price=30.0),
        CatalogueItem(item_id="5", category="2103807459595387724", brand="shiseido"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (ROW[:-40], "wrong_columns"),
        (ROW.replace(b"view", b"dance"), "unknown_type"),
        (ROW.replace(b"541312140", b""), "missing_user"),
        (ROW.replace(b"44600062", b""), "missing_item"),
        (ROW.replace(b"-10-", b"-13-"), "wrong_time"),
        (ROW.replace(b"35.79", b"-1"), "wrong_value"),
        (ROW.replace(b"35.79", b"nan"), "wrong_value"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(line, b"\n", ROW)
    assert [event.event_id for event in events] == ["rees46-4"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


@pytest.mark.parametrize("read", [load, items])
def test_a_file_of_another_kind_is_refused_whole(read: object) -> None:
    with pytest.raises(FormatError, match="not a REES46 file: the first line must be event_time,"):
        list(read([b"a,b\n"], Rejects()))  # type: ignore[operator]
