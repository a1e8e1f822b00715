from collections import Counter
from pathlib import Path

import pytest

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.formats.base import FormatError, Rejects
from stream.formats.online_retail import items, load

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "online_retail"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
DEC_1 = 1_291_191_960_000


def row(
    invoice: str = "536365",
    code: str = "85123A",
    quantity: str = "6",
    *,
    date: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
) -> str:
    return f'{invoice},{code},"HEART, WHITE",{quantity},{date},{price},{customer},United Kingdom'


def loaded(*rows: str, encoding: str = "utf-8") -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    lines = "\n".join((HEADER, *rows)).encode(encoding).splitlines(keepends=True)
    return list(load(lines, rejects)), rejects


def test_the_lines_of_an_invoice_are_one_purchase() -> None:
    events, rejects = loaded(row(), row(code="71053", quantity="2", price="3.39"), row("536366", "22633"))
    assert events[0] == Event(
        event_id="online-retail-2",
        type="purchase",
        user_id="customer-17850",
        time=DEC_1,
        items=(EventItem("85123A", 6.0, 2.55), EventItem("71053", 2.0, 3.39)),
        value=22.08,
        currency="GBP",
        order_id="536365",
        context={"country": "United Kingdom"},
    )
    assert [event.order_id for event in events] == ["536365", "536366"]
    assert not rejects.counts


@pytest.mark.parametrize(("invoice", "quantity"), [("C536379", "-6"), ("536379", "-6"), ("C536379", "6")])
def test_a_cancelled_invoice_is_a_refund_of_positive_amounts(invoice: str, quantity: str) -> None:
    (event,), _ = loaded(row(invoice, quantity=quantity))
    assert (event.type, event.value, event.items) == ("refund", 15.3, (EventItem("85123A", 6.0, 2.55),))


def test_an_invoice_without_a_customer_is_a_shopper_of_its_own() -> None:
    events, _ = loaded(row("1", customer=""), row("2", customer=""))
    assert [event.user_id for event in events] == ["invoice-1", "invoice-2"]


def test_a_large_invoice_becomes_several_events_of_one_order() -> None:
    events, _ = loaded(*(row(code=f"{10_000 + n}") for n in range(150)))
    assert [len(event.items) for event in events] == [100, 50]
    assert {event.order_id for event in events} == {"536365"}
    assert [event.event_id for event in events] == ["online-retail-2", "online-retail-2.1"]


def test_the_date_may_be_as_first_published() -> None:
    (event,), _ = loaded(row(date="12/1/2010 8:26"))
    assert event.time == DEC_1


def test_latin_1_text_does_not_hurt() -> None:
    (event,), rejects = loaded(row().replace("HEART", "CAFÉ £5"), encoding="latin-1")
    assert event.order_id == "536365"
    assert not rejects.counts


def test_a_product_has_its_latest_description_and_price() -> None:
    lines = [HEADER, row(), row(price="3").replace("HEART, WHITE", ""), row(code="POST"), row(code="22633")]
    assert list(items([line.encode() for line in lines], Rejects())) == [
        CatalogueItem(item_id="85123A", title="HEART, WHITE", price=3.0),
        CatalogueItem(item_id="22633", title="HEART, WHITE", price=2.55),
    ]


def test_a_text_over_two_lines_is_one_row() -> None:
    (event,), rejects = loaded(row().replace("HEART, WHITE", "HEART\nWHITE"))
    assert event.event_id == "online-retail-3"
    assert not rejects.counts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (row(code="POST"), "not_an_item"),
        (row(code="C2"), "not_an_item"),
        (row(code=""), "not_an_item"),
        (row(price="0", customer=""), "not_a_sale"),
        (row(quantity="0"), "wrong_value"),
        (row(quantity="six"), "wrong_value"),
        (row(price="-11062.06"), "wrong_value"),
        (row(date="soon"), "wrong_time"),
        (row(date="31/31/2010 8:26"), "wrong_time"),
        ("536365,85123A", "wrong_columns"),
        (row().replace("HEART", "H" * 140_000), "wrong_columns"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(text: str, reason: str) -> None:
    events, rejects = loaded(text, row())
    assert [event.event_id for event in events] == ["online-retail-3"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


@pytest.mark.parametrize("lines", [[], [b"InvoiceNo,StockCode\n"]])
def test_a_file_of_another_kind_is_refused_whole(lines: list[bytes]) -> None:
    with pytest.raises(FormatError, match="not an Online Retail file: the first line has no column"):
        list(load(lines, Rejects()))


@pytest.mark.data
def test_the_real_file_is_read_whole_and_in_order() -> None:
    path = DATA / "online_retail.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the real Online Retail file is NOT checked here")
    file = EventFile(path, "online-retail", limit=5000)
    events = list(file)
    assert len(events) == 5000
    assert Counter(event.type for event in events).keys() == {"purchase", "refund"}
    assert file.rejects.counts.keys() == {"not_an_item", "not_a_sale"}
    assert events == sorted(events, key=lambda event: event.time)
    titles = {item.item_id: item.title for item in file.items()}
    assert titles["85123A"] == "CREAM HANGING HEART T-LIGHT HOLDER"
