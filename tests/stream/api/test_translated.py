"""Events that came in another vendor's form."""

import pytest

from state.fronts.front import LeftOut
from stream.api.keys import EVERYTHING, Access
from stream.api.metrics import REFUSED
from stream.api.problem import Problem
from stream.api.translated import write
from tests.stream.api.fakes import Api

CLICK = {"type": "click", "user_id": "u1", "item_id": "i1", "event_id": "e1"}


async def test_ours_are_written_wrong_ones_named_and_others_passed_over() -> None:
    api = Api()
    given = [
        CLICK,
        LeftOut(1, "passed_over", "a page"),
        LeftOut(2, "missing_user", "who?"),
        {"type": "click"},
    ]
    taken = await write(api.context, EVERYTHING, given)
    assert [event.event_id for event in taken.events] == ["e1"]
    assert [(fault.index, fault.reason) for fault in taken.faults] == [
        (2, "missing_user"),
        (3, "missing_user"),
    ]
    assert (taken.passed_over, taken.is_refused) == (1, False)
    assert [event["event_id"] for event in api.events()] == ["e1"]
    assert api.metrics.value(REFUSED, "missing_user") == 2


async def test_they_get_the_tenant_of_the_key() -> None:
    api = Api()
    await write(api.context, Access("n", "north", frozenset({"events"})), [CLICK])
    assert [sent.key for sent in api.producer.sent] == [b"north|u1"]


async def test_what_kafka_has_not_acknowledged_is_503() -> None:
    api = Api(api_ack_seconds=0.05)
    api.producer.holds = True
    with pytest.raises(Problem) as caught:
        await write(api.context, EVERYTHING, [CLICK])
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "2")


async def test_where_all_is_wrong_it_is_refused() -> None:
    assert (await write(Api().context, EVERYTHING, [LeftOut(0, "wrong_type", "x")])).is_refused
    assert not (await write(Api().context, EVERYTHING, [LeftOut(0, "passed_over", "x")])).is_refused
