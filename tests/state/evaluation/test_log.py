import numpy as np

from state.evaluation.log import DELTA_ROWS, Log, LogBuilder
from state.models import Models
from tests.state.evaluation.logs import DAY, HOUR, RULES, T, log_of, shop, turn


def test_a_row_is_one_item_of_a_positive_event() -> None:
    log = log_of(
        [turn("u", "a b", T), turn("u", "a", T + 1, type="impression"), turn("v", "b", T + 2)], T + 2
    )
    assert [log.names[number] for number in log.item] == ["a", "b", "b"]
    assert log.event.tolist() == [0, 0, 1]
    assert log.user.tolist() == [0, 0, 1]
    assert log.measured.tolist() == [False, False, True]
    assert log.time.tolist() == [T, T, T + 2]


def test_sessions_are_those_of_the_session_fold() -> None:
    log = log_of([turn("u", "a", T), turn("u", "b", T + 1), turn("u", "c", T + HOUR)], T)
    assert log.session[0] == log.session[1] != log.session[2]


def test_a_duplicate_adds_nothing() -> None:
    builder = LogBuilder(RULES)
    for _ in range(2):
        builder.add(turn("u", "a", T), measured=False)
    assert builder.rows == 1


def test_deltas_name_their_items_in_the_order_of_appearance() -> None:
    log = log_of([turn("u", "b a", T), turn("u", "b", T + 1)], T)
    (delta,) = log.deltas(0, 3)
    assert delta.items == ("b", "a")
    assert delta.item == (0, 1, 0)
    assert list(log.deltas(2, 2)) == []


def test_models_learn_the_same_from_few_and_many_deltas() -> None:
    log = log_of(shop(1), T + DAY)
    once, often = Models(), Models()
    once.learn(log.deltas(0, log.rows))
    for row in range(log.rows):
        often.learn(log.deltas(row, row + 1))
    first, second = once.snapshot(), often.snapshot()
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_a_long_log_becomes_several_deltas() -> None:
    rows = DELTA_ROWS + 5
    zeros = np.zeros(rows, np.int32)
    log = Log(["a"], zeros, zeros.astype(np.int64), zeros, zeros.astype(np.int64), zeros.astype(np.int8),
              zeros, zeros.astype(np.bool_))  # fmt: skip
    assert [delta.events for delta in log.deltas(0, rows)] == [DELTA_ROWS, 5]


def test_taken_keeps_names_and_chooses_rows() -> None:
    log = log_of([turn("u", "a b c", T)], T)
    part = log.taken(np.array([2, 0]))
    assert part.names is log.names
    assert part.item.tolist() == [2, 0]
    assert part.rows == 2
