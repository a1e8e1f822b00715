"""Dead letters over HTTP: list, send again, drop; as `freshslate dlq` does."""

from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from state.errors import REASONS
from stream.api.context import Context, allowed_everywhere, context_of, json_body, number_of
from stream.api.problem import problem
from stream.letters import Filter, collected, find, latest
from stream.redrive import Run, judge, parted
from stream.screens.dlq import found_json, run_json
from stream.worker import event_rules

MOST: Final = 200
"""Letters of one answer, at most."""
LIMIT: Final = 50
RATE: Final = 1000.0
"""Letters a second that are sent again."""
JSON: Final = "application/json"


class Which(Struct, forbid_unknown_fields=True):
    """Which letters are meant."""

    ids: list[str] = []
    """Such as `3-17`."""
    reasons: list[str] = []
    every: bool = False
    """All that wait, where neither ids nor reasons are given."""


async def get_dead_letters(request: Request) -> Response:
    """What waits, counted by reason, and the latest letters whole."""
    allowed_everywhere(request)
    context = context_of(request)
    asked = request.query_params
    limit = int(number_of(request, "limit", MOST, least=0) or LIMIT)
    which = Filter(reasons=_reasons(asked.getlist("reason")), topic=asked.get("topic"))
    again = judge(context.settings, event_rules(context.settings), "keep")
    async with context.turns.turn():
        found = await find(context.settings, which, judge=again)
        shown = await collected(context.settings, latest(found, limit))
    return _json(found_json(found, shown))


async def post_redrive(request: Request) -> Response:
    """Send letters to the topics they came from again; those that would be refused again stay."""
    context, which = await _asked(request)
    again = judge(context.settings, event_rules(context.settings), "keep")
    async with context.turns.turn(), _run(context) as its:
        found = await find(context.settings, which, judge=again)
        ids, _ = parted(found, every=False)
        done = await its.redrive(ids, rate=RATE, times="keep")
    return _json(run_json(found, done, dry_run=False))


async def post_drop(request: Request) -> Response:
    """Mark letters as dealt with."""
    context, which = await _asked(request)
    async with context.turns.turn(), _run(context) as its:
        found = await find(context.settings, which)
        done = await its.drop(found.ids)
    return _json(run_json(found, done, dry_run=False))


def _run(context: Context) -> Run:
    return Run(context.settings)


async def _asked(request: Request) -> tuple[Context, Filter]:
    """Which letters the body means.

    Raises:
        Problem: none at all.
    """
    allowed_everywhere(request)
    try:
        which = msgspec.json.decode(await json_body(request), type=Which)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("not_json", f'say which: {{"ids": ["3-17"]}}, reasons, or every: {error}') from None
    if not (which.ids or which.reasons or which.every):
        raise problem("wrong_parameter", 'say which: ids, reasons, or "every": true')
    ids = frozenset(map(_id_of, which.ids))
    return context_of(request), Filter(ids=ids, reasons=_reasons(which.reasons))


def _reasons(names: list[str]) -> frozenset[str]:
    if unknown := sorted(set(names) - set(REASONS)):
        raise problem("wrong_parameter", f"{unknown[0]!r} is no reason; there are {', '.join(REASONS)}")
    return frozenset(names)


def _id_of(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition("-")
    if not (partition.isdecimal() and offset.isdecimal() and len(text) < 40):
        raise problem("wrong_parameter", f"{text[:40]!r} is no letter such as 3-17")
    return int(partition), int(offset)


def _json(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), headers={"Cache-Control": "no-store"}, media_type=JSON)
