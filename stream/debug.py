"""What a worker's pages below `/debug` tell those who run it: its partitions, and a user's profile.

Partitions say nothing of users, so whoever reaches the port may see them. A profile is shown to who brings
the token (`FRESHSLATE_HTTP_TOKEN`), and to nobody where none is set.
"""

import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec

from state.event import state_key
from stream.codecs import decode_profile
from stream.config import Settings
from stream.inspection import Inspection, as_json, partition_of
from stream.logs import worker_name
from stream.vitals import Page, Vitals

if TYPE_CHECKING:
    from stream.worker import Worker

_BEARER: Final = "Bearer "


def partitions_page(worker: "Worker", vitals: Vitals, settings: Settings) -> Page:
    """Every partition of the worker: how far it is, what waits, and its latest transaction."""
    loop = worker.loop
    numbers = sorted(loop.assignment | worker.partitions.opened)
    queued = loop.queued
    return _page(
        200,
        {
            "worker": worker_name(),
            "generation": loop.generation,
            "queue_chunks": loop.waiting,
            "partitions": {
                str(number): {
                    "state": _state(worker, number),
                    "restore_left": worker.partitions.restoring.get(number),
                    "applied": _applied(worker, number, settings),
                    "lag": {
                        tp.topic: lag._asdict()
                        for tp, lag in (vitals.lags or {}).items()
                        if tp.partition == number
                    },
                    "queue_chunks": queued[number],
                    "transaction": (latest := loop.transactions.get(number)) and latest._asdict(),
                }
                for number in numbers
            },
        },
    )


def _state(worker: "Worker", number: int) -> str:
    if number in worker.partitions.opened:
        return "open"
    return "restoring" if number in worker.partitions.restoring else "assigned"


def _applied(worker: "Worker", number: int, settings: Settings) -> dict[str, int | None]:
    """Offset of the last record that the state contains, by input topic; None before the first."""
    if number not in worker.partitions.opened:
        return {}
    store = worker.partitions.store(number)
    applied = {topic: store.applied(topic) for topic in settings.input_topics}
    return {topic: offset if offset >= 0 else None for topic, offset in applied.items()}


def user_page(worker: "Worker", settings: Settings, user_id: str, *, tenant: str, authorization: str) -> Page:
    """A user's profile, where this worker has the partition.

    Args:
        worker: asked, never changed.
        settings: of the worker.
        user_id: as events name the user.
        tenant: as events name it.
        authorization: the request's header.

    Returns:
        200; 404 with the partition to ask for, where another worker has it, or where the user is not known;
        401 without the right token; 403 where none is set.
    """
    if settings.http_token is None:
        return _page(403, {"reason": "set FRESHSLATE_HTTP_TOKEN: without it nobody is shown a user's data"})
    if not is_allowed(settings.http_token.get_secret_value(), authorization):
        return _page(401, {"reason": "send the header Authorization: Bearer, with FRESHSLATE_HTTP_TOKEN"})
    key = state_key(tenant, user_id)
    expected = partition_of(key, settings.partitions)
    # Shops may have partitioned their events by other means; then the user is where the events are.
    for number in sorted(worker.partitions.opened, key=lambda number: number != expected):
        (value,) = worker.partitions.store(number).get([key.encode()])
        if value is not None:
            found = Inspection(
                user_id=user_id,
                tenant=tenant,
                key=key,
                partition=number,
                expected_partition=expected,
                partitions=settings.partitions,
                profile=decode_profile(value),
                slates=(),
            )
            shown = as_json(found)
            del shown["slates"]  # they are on their topic; a worker keeps none
            return _page(200, shown)
    reason = (
        "this worker has the partition, and knows nothing of the user"
        if expected in worker.partitions.opened
        else "another worker has the partition: ask the one whose /debug/partitions shows it open"
    )
    return _page(404, {"key": key, "partition": expected, "reason": reason})


def is_allowed(token: str, authorization: str) -> bool:
    """Whether a request's `Authorization` header brings the token; takes as long for any wrong one."""
    given = authorization.removeprefix(_BEARER).encode()
    return authorization.startswith(_BEARER) and hmac.compare_digest(given, token.encode())


def _page(status: int, body: dict[str, Any]) -> Page:
    return Page(status, msgspec.json.encode(body))
