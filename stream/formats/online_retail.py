"""UCI Online Retail: invoice lines with product, quantity, price and customer; one event per invoice.

- Lines of one invoice are one purchase; of a cancelled one (`C...`, or a quantity below 0) one refund.
- A quarter of the lines names no customer. Their baskets are real, so each invoice is an anonymous
  shopper of its own.
- Postage, fees and vouchers are not items; a line with neither price nor customer is a stock
  correction. Both are rejects.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, NamedTuple

from state.catalogue import CatalogueItem
from state.event import Event, EventItem
from stream.formats.base import BadLine, FormatError, Rejects, baskets, part_id
from stream.times import parse_iso

COLUMNS: Final = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
"""The columns that are needed, in any order."""
PRODUCT_PREFIXES: Final = ("DCGS",)
"""Codes of products that do not begin with five digits."""


class Line(NamedTuple):
    """One item of an invoice."""

    number: int
    invoice: str
    type: str
    user_id: str
    time: int
    item: EventItem
    country: str
    description: str


def load(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Event]:
    """Purchases and refunds in the order of the file, which is by time.

    Raises:
        FormatError: A column is missing.
    """
    rows = _rows(lines, rejects)
    for (invoice, kind), group in groupby(rows, lambda row: (row.invoice, row.type)):
        order = list(group)
        first = order[0]
        for number, items in baskets([row.item for row in order]):
            yield Event(
                event_id=part_id(f"online-retail-{first.number}", number),
                type=kind,
                user_id=first.user_id,
                time=first.time,
                items=items,
                value=round(sum(item.quantity * (item.price or 0.0) for item in items), 2),
                currency="GBP",
                order_id=invoice,
                context={"country": first.country} if first.country else {},
            )


def items(lines: Iterable[bytes], rejects: Rejects) -> Iterator[CatalogueItem]:
    """Each product with its latest description and price.

    Raises:
        FormatError: A column is missing.
    """
    latest: dict[str, tuple[str, float | None]] = {}
    for row in _rows(lines, rejects):
        title, price = latest.get(row.item.item_id, ("", None))
        latest[row.item.item_id] = row.description or title, row.item.price or price
    for item, (title, price) in latest.items():
        yield CatalogueItem(item_id=item, title=title or None, price=price)


def _rows(lines: Iterable[bytes], rejects: Rejects) -> Iterator[Line]:
    # The distributed file is Latin-1 in places; every byte means something there.
    reader = csv.reader(_text(line) for line in lines)
    names = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        message = f"not an Online Retail file: the first line has no column {', '.join(missing)}"
        raise FormatError(message)
    while True:
        try:
            values = next(reader)
            if values:
                yield _line(names, values, reader.line_num)
        except StopIteration:
            return
        except csv.Error as error:
            rejects.add(reader.line_num, "wrong_columns", error)
        except BadLine as bad:
            rejects.add(reader.line_num, bad.reason, bad.detail)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _line(names: list[str], values: list[str], number: int) -> Line:
    if len(values) != len(names):
        reason = "wrong_columns"
        raise BadLine(reason, f"{len(values)} columns where the header has {len(names)}")
    fields = dict(zip(names, values, strict=True))
    invoice, code, customer = (
        fields["InvoiceNo"],
        fields["StockCode"],
        fields["CustomerID"].removesuffix(".0"),
    )
    if not (code[:5].isdigit() and len(code) >= 5) and not code.startswith(PRODUCT_PREFIXES):
        reason = "not_an_item"
        raise BadLine(reason, f"StockCode {code!r}")
    quantity, price = _number(fields["Quantity"]), _number(fields["UnitPrice"])
    if not quantity or price < 0:
        reason = "wrong_value"
        raise BadLine(reason, f"Quantity {quantity:g} at UnitPrice {price:g}")
    if not price and not customer:
        reason = "not_a_sale"
        raise BadLine(reason, "no price and no customer")
    return Line(
        number,
        invoice,
        "refund" if quantity < 0 or invoice.startswith("C") else "purchase",
        f"customer-{customer}" if customer else f"invoice-{invoice}",
        _time(fields["InvoiceDate"]),
        EventItem(code, abs(quantity), price),
        fields.get("Country", ""),
        fields.get("Description", "").strip(),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        reason = "wrong_value"
        raise BadLine(reason, f"{text!r} is not a number") from None


def _time(text: str) -> int:
    """`2010-12-01 08:26:00`, or `12/1/2010 8:26` as UCI first published it; the shop's clock read as UTC."""
    try:
        if "/" in text:
            moment = datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
            return int(moment.timestamp()) * 1000
        return parse_iso(text)
    except (ValueError, OverflowError) as error:
        reason = "wrong_time"
        raise BadLine(reason, error) from None
