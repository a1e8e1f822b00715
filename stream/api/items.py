"""`PUT` and `DELETE /v1/items/{item_id}`, `POST /v1/items`: the catalogue, which all tenants share."""

from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from state.errors import InvalidItem
from stream.api.catalogue import CSV, JSON_LINES, Checked, Entry, id_of, read, read_one
from stream.api.context import Context, allowed, context_of, json_body
from stream.api.ingest import NOT_WRITTEN, Fault
from stream.api.keys import ADMIN
from stream.api.metrics import ITEMS, ITEMS_REFUSED
from stream.api.outcome import in_order, told
from stream.api.writer import Row

_NOT_IN_TIME: Final = "Kafka has not acknowledged it in time: send it again"


class ItemsTold(Struct, frozen=True, kw_only=True):
    """What became of the items of a request."""

    accepted: int
    """Items that the brokers have."""
    item_ids: list[str | None]
    """Of each item of the request; null where it was refused."""
    errors: list[Fault]


async def put_item(request: Request) -> Response:
    """Add an item, or replace it; 202 once the brokers have it."""
    allowed(request, ADMIN)
    body = await json_body(request)
    return await _answer(context_of(request), read_one(request.path_params["item_id"], body))


async def delete_item(request: Request) -> Response:
    """Withdraw an item: it is recommended no more; 202 once the brokers have the tombstone."""
    allowed(request, ADMIN)
    try:
        item_id = id_of(request.path_params["item_id"])
    except InvalidItem as error:
        checked = Checked(1, [], [Fault(0, error.reason, error.detail)])
    else:
        checked = Checked(1, [Entry(0, item_id, None)], [])
    return await _answer(context_of(request), checked)


async def post_items(request: Request) -> Response:
    """Add or replace many items; 202 once the brokers have those that were accepted."""
    allowed(request, ADMIN)
    context = context_of(request)
    body = await json_body(request, *JSON_LINES, CSV)
    kind = request.headers["content-type"].partition(";")[0].strip().lower()
    return await _answer(context, read(body, kind, context.settings.api_batch_events))


async def write_items(context: Context, checked: Checked) -> list[bool]:
    """Write what can be written; says of each whether the brokers are known to have it."""
    topic = context.settings.items_topic
    rows = [Row(topic, None, entry.item_id.encode(), entry.value, None) for entry in checked.entries]
    written = await context.writer.write(rows)
    context.metrics.add(ITEMS, sum(written))
    context.metrics.count(ITEMS_REFUSED, [(NOT_WRITTEN,)] * written.count(False))
    return written


async def _answer(context: Context, checked: Checked) -> Response:
    """Write, and tell what became of each."""
    context.metrics.count(ITEMS_REFUSED, [(fault.reason,) for fault in checked.faults])
    written = await write_items(context, checked)
    lost = [
        Fault(entry.place, NOT_WRITTEN, _NOT_IN_TIME)
        for entry, is_written in zip(checked.entries, written, strict=True)
        if not is_written
    ]
    ids: list[str | None] = [None] * checked.sent
    for entry in checked.entries:
        ids[entry.place] = entry.item_id
    body = ItemsTold(accepted=sum(written), item_ids=ids, errors=in_order(checked.faults, lost))
    return told(body, refused=bool(checked.faults) and not checked.entries, lost=lost)
