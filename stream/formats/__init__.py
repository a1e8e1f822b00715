"""File formats that can be replayed and evaluated, one loader a file."""

from collections.abc import Mapping
from typing import Final

from stream.formats import (
    amazon,
    csv_table,
    diginetica,
    jsonl,
    online_retail,
    otto,
    parquet,
    periods,
    rees46,
    retailrocket,
    session_rec,
    taobao,
    yoochoose,
)
from stream.formats.base import ORDER_NOTE, FormatError, Reject, Rejects
from stream.formats.form import Format, by_lines

__all__ = ["FORMATS", "Format", "FormatError", "Reject", "Rejects"]

FORMATS: Final[Mapping[str, Format]] = {
    "jsonl": Format(
        "Freshslate's own events, one JSON object a line (docs/events.md)",
        "events.jsonl.gz --format jsonl --catalogue items.jsonl",
        by_lines(jsonl.load),
    ),
    "csv": Format(
        "any CSV or TSV file, by the names of its columns",
        "log.csv.gz --format csv --column session=sid,item=sku,time=at,type=action,user=uid",
        csv_table.load,
        csv_table.items,
    ),
    "parquet": Format(
        "any Parquet file, by the names of its columns (extra parquet)",
        "log.parquet --format parquet --column session=sid,item=sku,time=at",
        parquet.load,
        parquet.items,
    ),
    "taobao": Format(
        "Taobao user behaviour: views, carts, favourites and purchases with categories",
        "UserBehavior.csv.zip --format taobao",
        by_lines(taobao.load),
        by_lines(taobao.items),
    ),
    "otto": Format(
        "OTTO: sessions of clicks, carts and orders, a session a line",
        "otto-recsys-train.jsonl --format otto",
        by_lines(otto.load),
    ),
    "diginetica": Format(
        "Diginetica, raw views or purchases",
        "train-item-views.csv.gz --format diginetica --catalogue product-categories.csv",
        by_lines(diginetica.load),
        catalogue=diginetica.items,
        note=diginetica.NOTE,
    ),
    "online-retail": Format(
        "UCI Online Retail: invoices with product text and price",
        "online_retail.csv.gz --format online-retail",
        by_lines(online_retail.load),
        by_lines(online_retail.items),
    ),
    "retailrocket": Format(
        "Retailrocket, raw events.csv: views, carts and transactions",
        "archive.zip/events.csv --format retailrocket --catalogue archive.zip/item_properties_part1.csv "
        "--catalogue archive.zip/item_properties_part2.csv",
        by_lines(retailrocket.load),
        catalogue=retailrocket.items,
    ),
    "yoochoose": Format(
        "YooChoose (RSC15), raw clicks or buys",
        "yoochoose-clicks.dat --format yoochoose",
        by_lines(yoochoose.load),
    ),
    "rees46": Format(
        "REES46: views, carts and purchases with category, brand and price",
        "2019-Oct.csv.gz --format rees46",
        by_lines(rees46.load),
        by_lines(rees46.items),
    ),
    "amazon": Format(
        "Amazon reviews as sequences, a user a line",
        "Beauty.txt.gz --format amazon --catalogue Beauty_item2attributes.json.gz",
        by_lines(amazon.load),
        catalogue=amazon.items,
        note=ORDER_NOTE,
    ),
    "session-rec": Format(
        "prepared by session-rec: SessionId, ItemId, Time, tab separated",
        "rsc15-clicks_train_full.txt --format session-rec",
        by_lines(session_rec.load),
    ),
    "periods": Format(
        "a folder of period_N.txt, a week each: session item",
        "diginetica_stream --format periods",
        periods.load,
        note=periods.NOTE,
        takes="folder",
    ),
}
"""By the name that `--format` takes."""
