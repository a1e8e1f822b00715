"""What the closed loop makes of slates; on a broker it runs in `tests/kafka/test_simulate.py`."""

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from state.simulation.wire import user_name
from state.slate import Slate, SlateItem, Trigger
from stream.closed_loop import ClosedLoop, shopper_of, slate_rows
from stream.codecs import encode_slate
from stream.config import Settings
from stream.heartbeat import heartbeat_key
from tests.stream.records import record


def slate(*item_ids: str) -> Slate:
    return Slate(
        slate_id="events-0-1",
        user_id="shopper-1",
        tenant="default",
        scenario="feed",
        time=1,
        trigger=Trigger("e", 1, "events", 0, 1),
        policy="softmax",
        policy_version="1",
        seed=1,
        candidates=9,
        candidates_hash="",
        items=tuple(SlateItem(item_id, n, 1.0, 0.5, ()) for n, item_id in enumerate(item_ids, 1)),
    )


@given(st.integers(0, 10**7))
def test_a_shopper_is_known_by_the_user_id(shopper: int) -> None:
    assert shopper_of(user_name(shopper), 10**7 + 1) == shopper


@pytest.mark.parametrize(
    "user", ["u-3", "shopper-", "shopper-x", "shopper-03", "shopper-10", "3", "shopper-²"]
)
def test_somebody_elses_user_is_no_shopper(user: str) -> None:
    assert shopper_of(user, 10) is None


def test_slates_are_rows_of_items_as_long_as_the_shop_looks() -> None:
    rows = slate_rows([slate("a", "b", "c"), slate("b"), slate("of another shop", "a")], {"a": 0, "b": 1}, 2)
    assert rows.tolist() == [[0, 1], [1, -1], [-1, 0]]
    assert rows.dtype == np.int32


async def test_the_answer_to_a_heartbeat_is_shown_to_nobody() -> None:
    read: list[str] = []
    fetched = [record(encode_slate(slate()), 0), record(encode_slate(slate()), 1, key=heartbeat_key(0))]

    async def getmany(*, timeout_ms: int) -> dict[TopicPartition, Any]:
        if read:
            await asyncio.Event().wait()
        return {TopicPartition("slates", 0): fetched}

    watcher: Any = SimpleNamespace(read=lambda slate, at: read.append(slate.slate_id))
    shop: Any = SimpleNamespace(item_ids=(), config=SimpleNamespace(shoppers=1))
    loop = ClosedLoop(Settings(), shop, watcher)
    loop._consumer = SimpleNamespace(getmany=getmany)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await loop.follow()
    assert read == ["events-0-1"]
