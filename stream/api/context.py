"""What endpoints work with, and what they ask of every request."""

import asyncio
from collections.abc import Callable
from math import nan
from typing import Final, NamedTuple

from starlette.requests import Request

from state.event import DEFAULT_TENANT, SCENARIOS, EventRules
from state.posterior.beliefs import Beliefs
from stream.api.decisions import Decisions
from stream.api.group import Group
from stream.api.item_store import ItemStore
from stream.api.keys import ADMIN, ANY_TENANT, Access
from stream.api.past import Past
from stream.api.popular import Popular
from stream.api.problem import problem
from stream.api.recent import Recent
from stream.api.store import SlateStore
from stream.api.turns import Turns
from stream.api.user import User
from stream.api.writer import Writer
from stream.config import Settings
from stream.metrics import Metrics

MOST_ITEMS: Final = 1000
"""Largest `limit`."""
DEFAULT_SCENARIO: Final = "feed"
"""Of requests that name none."""
_SCENARIOS: Final = ", ".join(sorted(SCENARIOS))


class Context(NamedTuple):
    """Everything behind the endpoints."""

    settings: Settings
    rules: EventRules
    """As the workers have them."""
    writer: Writer
    store: SlateStore
    items: ItemStore
    popular: Popular
    metrics: Metrics
    now: Callable[[], int]
    """Epoch milliseconds."""
    ready: Callable[[], str]
    """Why requests should go elsewhere; empty: they should not."""
    closing: asyncio.Event
    """Set when the process ends: streams end then."""
    recent: Recent
    """What the last minutes were like."""
    group: Group
    """The workers."""
    beliefs: Callable[[], Beliefs]
    """What this process has learned from feedback."""
    decisions: Decisions
    """Calls of Azure's Rank that await their reward."""
    turns: Turns
    """Of requests that read the log."""
    past: Past
    """What the log says of users."""


def context_of(request: Request) -> Context:
    """What the endpoint works with."""
    context: Context = request.app.state.context
    return context


def allowed(request: Request, right: str) -> Access:
    """Whose request it is.

    Raises:
        Problem: the key has not this right.
    """
    access: Access = request.state.access
    if not access.has(right):
        raise problem("missing_right", f"the key {access.name!r} has not the right {right!r}")
    return access


def allowed_everywhere(request: Request) -> Access:
    """Whose request it is, about what all tenants share: an admin's of every tenant.

    Raises:
        Problem: the key is not an admin's, or of one tenant alone.
    """
    access = allowed(request, ADMIN)
    if access.tenant != ANY_TENANT:
        raise problem("missing_right", f"this is of all tenants, and the key {access.name!r} of one of them")
    return access


def user_of(request: Request, access: Access) -> User:
    """The user in the path, of the key's tenant.

    Raises:
        Problem: another tenant is asked for.
    """
    asked = request.query_params.get("tenant")
    if access.tenant == ANY_TENANT:
        return User(request.path_params["user"], asked or DEFAULT_TENANT)
    if asked not in {None, access.tenant}:
        raise problem("wrong_tenant", f"the key is of the tenant {access.tenant!r}, not {asked!r}")
    return User(request.path_params["user"], access.tenant)


def scenario_of(request: Request) -> str:
    """The scenario that is asked for; `feed` where none is.

    Raises:
        Problem: there is no such scenario.
    """
    scenario = request.query_params.get("scenario", DEFAULT_SCENARIO)
    if scenario not in SCENARIOS:
        raise problem("wrong_parameter", f"scenario {scenario!r} is none of {_SCENARIOS}")
    return scenario


def number_of(request: Request, name: str, most: float, *, least: float | None = None) -> float | None:
    """A number above 0, or from `least` on, in the query; None where it is not there.

    Raises:
        Problem: it is something else.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not (number > 0 if least is None else number >= least) or number > most:
        lower = "above 0" if least is None else f"from {least:g} on"
        raise problem("wrong_parameter", f"{name}={text!r} is not a number {lower}, at most {most:g}")
    return number


def limit_of(request: Request) -> int | None:
    """How many items are asked for; None for all."""
    number = number_of(request, "limit", MOST_ITEMS)
    if number is not None and number != int(number):
        raise problem("wrong_parameter", f"limit={number:g} is no whole number")
    return None if number is None else int(number)


async def json_body(request: Request, *kinds: str) -> bytes:
    """The body of a request that must say that it is JSON, or one of these other kinds.

    Raises:
        Problem: it is something else, or too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    expected = ("application/json", *kinds)
    if kind not in expected:
        raise problem("wrong_content_type", f"Content-Type is {kind!r}, not {' or '.join(expected)}")
    return await read_body(request)


async def read_body(request: Request) -> bytes:
    """The body of a request, whatever it says of its type.

    Raises:
        Problem: it is too large.
    """
    most = context_of(request).settings.api_body_bytes
    # Starlette has a limit too, which answers in its own words.
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise problem("too_large", f"the body has more than {most} bytes (FRESHSLATE_API_BODY_BYTES)")
    return bytes(body)
