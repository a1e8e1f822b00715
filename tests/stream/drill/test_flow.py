"""How far cycles reach; on a broker in `tests/kafka/test_drill.py`."""

import asyncio

from msgspec.structs import replace

from state.slate import Delta, Span
from stream.config import Settings
from stream.drill.flow import Flow
from tests.state.retrieval.shops import make_delta


def delta(partition: int, last: int, *, slates: int = 1) -> Delta:
    spans = (Span("events", last, last), Span("purchases", 0, last - 5))
    return replace(make_delta([]), partition=partition, spans=spans, events=3, slates=slates)


def flow_of(*deltas: Delta) -> Flow:
    flow = Flow(Settings(broker="nowhere:1"))
    for each in deltas:
        flow.take(each)
    return flow


async def test_slates_flow_once_every_partition_has_some_beyond() -> None:
    flow = flow_of(delta(0, 20), delta(1, 9))
    assert await flow.flows({0: 10, 1: 10}, 0) is None
    waiting = asyncio.create_task(flow.flows({0: 10, 1: 10}, 20))
    await asyncio.sleep(0)
    flow.take(delta(1, 10, slates=0))
    assert await flow.flows({1: 10}, 0) is None  # taken, and no slate asked for
    flow.take(delta(1, 11))
    seconds = await waiting
    assert seconds is not None
    assert seconds >= 0


async def test_the_end_is_reached_also_by_cycles_without_slates() -> None:
    flow = flow_of(delta(0, 20), delta(1, 9, slates=0))
    assert await flow.reaches({0: 21, 1: 10}, 0) is not None
    assert await flow.reaches({0: 22, 1: 10}, 0) is None


def test_a_cycle_that_comes_again_moves_nothing_back() -> None:
    flow = flow_of(delta(0, 20), delta(0, 12))
    assert (flow.covered[0], flow.reached[0]) == (21, 21)
    assert (flow.slates, flow.events) == (2, 6)
