"""Events that came in another vendor's form: translated ones become ours and are written, as one."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request

from state.errors import InvalidEvent
from state.event import Event, Origin
from state.fronts.front import FRONTS, LeftOut
from stream.api.context import Context, allowed, context_of, read_body
from stream.api.ingest import NOT_WRITTEN, Fault, of_tenant
from stream.api.keys import EVENTS, Access
from stream.api.metrics import EVENTS as EVENTS_WRITTEN
from stream.api.metrics import REFUSED
from stream.api.problem import problem
from stream.api.writer import RETRY_SECONDS
from stream.codecs import event_of

PASSED_OVER: Final = "passed_over"


class Taken(NamedTuple):
    """What became of a vendor's events."""

    events: list[Event]
    faults: list[Fault]
    """Refused ones; those that are passed over are none."""
    passed_over: int

    @property
    def is_refused(self) -> bool:
        """Whether all of it was refused."""
        return bool(self.faults) and not self.events


async def payload_of(request: Request) -> Any:
    """The JSON of a body, whatever it says of its type: browsers send these calls as text.

    Raises:
        Problem: It is none, or too large.
    """
    body = await read_body(request)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("not_json", f"the body is no JSON: {error}") from None


async def take(request: Request, front: str, payload: Any) -> Taken:
    """Translate a payload, and write what it holds.

    Raises:
        Problem: The key has not the right, or Kafka has not acknowledged all of it.
    """
    access = allowed(request, EVENTS)
    context = context_of(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return await write(context, access, FRONTS[front](payload, headers))


async def write(context: Context, access: Access, translated: Sequence[Mapping[str, Any] | LeftOut]) -> Taken:
    """Write translated events, those that are right.

    Raises:
        Problem: Kafka has not acknowledged all of them: nothing of it counts as accepted.
    """
    taken = judged(context, access, translated)
    await written(context, taken)
    return taken


def judged(context: Context, access: Access, translated: Sequence[Mapping[str, Any] | LeftOut]) -> Taken:
    """Hold translated events to the contract, and count those that are refused."""
    now, origin = context.now(), f"http-{uuid.uuid4().hex}"
    taken = Taken([], [], 0)
    passed_over = 0
    for index, each in enumerate(translated):
        if isinstance(each, LeftOut):
            if each.reason == PASSED_OVER:
                passed_over += 1
            else:
                taken.faults.append(Fault(each.index, each.reason, each.message))
            continue
        try:
            event = event_of(dict(each), Origin(origin, 0, index, now), context.rules)
            taken.events.append(of_tenant(event, access))
        except InvalidEvent as error:
            taken.faults.append(Fault(index, error.reason, error.detail))
    context.metrics.count(REFUSED, [(fault.reason,) for fault in taken.faults])
    return taken._replace(passed_over=passed_over)


async def written(context: Context, taken: Taken) -> None:
    """Write events that were judged.

    Raises:
        Problem: Kafka has not acknowledged all of them: nothing of it counts as accepted.
    """
    now = context.now()
    done = await context.writer.write([context.writer.row_of(event, now) for event in taken.events])
    context.metrics.add(EVENTS_WRITTEN, sum(done))
    if not all(done):
        context.metrics.count(REFUSED, [(NOT_WRITTEN,)] * (len(done) - sum(done)))
        detail = "Kafka has not acknowledged all of it in time: send it again, it counts once"
        raise problem("kafka_unavailable", detail, Retry_After=RETRY_SECONDS)
