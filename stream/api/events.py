"""`POST /v1/events` and `POST /v1/recommend`: events in, and the slate that answers one."""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from state.event import Event
from stream.api.answers import Kind, render
from stream.api.context import Context, allowed, context_of, json_body, limit_of, number_of
from stream.api.ingest import NOT_WRITTEN, Checked, Fault, check, parts_of
from stream.api.keys import EVENTS, SLATES
from stream.api.metrics import EVENT_TO_SLATE, REFUSED, SERVED
from stream.api.metrics import EVENTS as EVENTS_WRITTEN
from stream.api.outcome import in_order, told
from stream.api.problem import problem
from stream.api.shown import check_started, shown_to
from stream.api.store import Kept, ShownSlate
from stream.api.user import User
from stream.api.writer import RETRY_SECONDS

MOST_WAIT_SECONDS: Final = 30.0
"""Longest `wait` of `/v1/recommend`."""
JSON: Final = "application/json"


async def post_events(request: Request) -> Response:
    """Take one event or many; 202 once the brokers have those that were accepted."""
    access = allowed(request, EVENTS)
    context = context_of(request)
    parts = parts_of(await json_body(request), context.settings.api_batch_events)
    checked = check(parts, access, context.rules, context.now())
    lost = await _write(context, checked)
    _count(context, checked, lost)
    return _told(checked, lost, len(parts))


async def _write(context: Context, checked: Checked) -> list[Fault]:
    """Write what can be written; returns what was not acknowledged."""
    now = context.now()
    written = await context.writer.write([context.writer.row_of(event, now) for _, event in checked.events])
    detail = "Kafka has not acknowledged it in time: send it again with the same event_id"
    return [
        Fault(index, NOT_WRITTEN, detail)
        for (index, _), is_written in zip(checked.events, written, strict=True)
        if not is_written
    ]


def _count(context: Context, checked: Checked, lost: list[Fault]) -> None:
    context.metrics.add(EVENTS_WRITTEN, len(checked.events) - len(lost))
    context.metrics.count(REFUSED, [(fault.reason,) for fault in [*checked.faults, *lost]])


def _told(checked: Checked, lost: list[Fault], sent: int) -> Response:
    ids: list[str | None] = [None] * sent
    for index, event in checked.events:
        ids[index] = event.event_id
    body: dict[str, Any] = {
        "accepted": len(checked.events) - len(lost),
        "event_ids": ids,
        "errors": in_order(checked.faults, lost),
    }
    return told(body, refused=bool(checked.faults) and not checked.events, lost=lost)


async def post_recommend(request: Request) -> Response:
    """Take one event and answer with its slate, or with the latest one where it does not come in time."""
    access = allowed(request, EVENTS)
    allowed(request, SLATES)
    context = context_of(request)
    # Before anything is written: what was refused may be sent again.
    check_started(context)
    started = context.now()
    wait = number_of(request, "wait", MOST_WAIT_SECONDS) or context.settings.api_wait_seconds
    limit = limit_of(request)
    checked = check(parts_of(await json_body(request), 1), access, context.rules, started)
    if checked.faults or not checked.events:
        _count(context, checked, [])
        fault = checked.faults[0] if checked.faults else Fault(0, "not_json", "there is no event in it")
        raise problem("all_refused", f"{fault.reason}: {fault.message}")
    (_, event), *_ = checked.events
    with context.store.answer(event.key, event.event_id) as future:
        lost = await _write(context, checked)
        _count(context, checked, lost)
        if lost:
            raise problem("kafka_unavailable", lost[0].message, Retry_After=RETRY_SECONDS)
        kept = await _answer(context, event, future, wait)
    kind, slate = await _shown(context, event, kept)
    if kind == "fresh":
        context.metrics.observe(EVENT_TO_SLATE, [(context.now() - started) / 1000])
    rendered = render(kind, slate, limit)
    context.metrics.add(SERVED, 1, kind)
    headers = {"X-Event-Id": event.event_id, "Cache-Control": "no-store"}
    return Response(rendered.body, 200, headers, media_type=JSON)


async def _answer(context: Context, event: Event, future: "asyncio.Future[Kept]", wait: float) -> Kept | None:
    """The event's own slate; None where its type asks for none, or it did not come in time."""
    if event.type not in context.settings.slate_types:
        return None
    closing = asyncio.create_task(context.closing.wait())
    try:
        either: set[asyncio.Future[Any]] = {future, closing}
        await asyncio.wait(either, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        if closing.done() and not future.done():
            # The process ends sooner than most slates that are waited for, but later than most slates come.
            await asyncio.wait({future}, timeout=min(wait, context.settings.api_wait_seconds))
    finally:
        closing.cancel()
    return future.result() if future.done() else None


async def _shown(context: Context, event: Event, kept: Kept | None) -> tuple[Kind, ShownSlate]:
    if kept is not None:
        return "fresh", kept.shown()
    return await shown_to(context, User(event.user_id, event.tenant), event.scenario)
