import numpy as np
import pytest

from state.event import EVENT_TYPES
from state.simulation.actions import (
    ADD_TO_CART,
    CLICK,
    IMPRESSION,
    PURCHASE,
    ROW,
    VIEW,
    Actions,
    columns,
    event_count,
    joined,
)


def rows(n, first=0):
    made = np.zeros(n, ROW)
    made["time"] = np.arange(first, first + n)
    made["item"] = 7
    return made


def test_the_codes_are_those_of_event_types():
    names = [EVENT_TYPES[code] for code in (IMPRESSION, VIEW, CLICK, ADD_TO_CART, PURCHASE)]
    assert names == ["impression", "view", "click", "add_to_cart", "purchase"]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_columns_are_copies_that_later_rows_leave_alone(n):
    written = rows(n)
    actions = columns(written)
    written["time"] = -1
    assert actions.time.tolist() == list(range(n))
    assert all(column.flags.c_contiguous and column.size == n for column in actions)


def test_every_column_has_the_type_of_its_field():
    actions = columns(rows(1))
    assert {name: column.dtype for name, column in actions._asdict().items()} == {
        name: ROW.fields[name][0] for name in Actions._fields
    }


def test_joined_keeps_the_order():
    parts = [columns(rows(2)), columns(rows(0)), columns(rows(3, first=2))]
    assert joined(parts).time.tolist() == [0, 1, 2, 3, 4]
    assert joined(parts[:1]) is parts[0]


def test_further_lines_of_a_purchase_are_no_events():
    actions = columns(rows(5))
    actions.line[2:4] = [1, 2]
    assert event_count(actions) == 3
