"""What the closed loop makes of slates; on a broker it runs in `tests/kafka/test_simulate.py`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.simulation.wire import user_name
from state.slate import Slate, SlateItem, Trigger
from stream.closed_loop import shopper_of, slate_rows


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
