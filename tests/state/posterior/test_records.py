from collections import Counter

import numpy as np
import pytest
from msgspec.structs import replace

from state.event import TYPE_CODES
from state.posterior.records import AHEAD_MS, feedback, seen_items
from tests.state.posterior.made import Shown, T, context, delta, log, rewards

SLOTS = {"": 0, "feed": 1, "product": 2}


def test_exposures_come_out_as_they_are() -> None:
    shown, left_out = log(1, count=30), Counter()
    found = seen_items([delta(shown[:12]), delta(shown[12:])], (), SLOTS.__getitem__, left_out)
    assert found.times.tolist() == [each.time for each in shown]
    assert found.slots.tolist() == [SLOTS[each.scenario] for each in shown]
    assert found.contexts.tolist() == [list(each.context) for each in shown]
    assert not +left_out


def test_exposures_of_one_slate_share_its_time_and_scenario() -> None:
    shown = [Shown("s", T, "product", n, context(n)) for n in (1, 2, 3)]
    found = seen_items([delta(shown)], (), SLOTS.__getitem__, Counter())
    assert found.times.tolist() == [T] * 3
    assert found.slots.tolist() == [2] * 3


def test_without_scenarios_all_count_for_none() -> None:
    found = seen_items([delta(log(1, count=3), scenarios=())], (), SLOTS.__getitem__, Counter())
    assert found.slots.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "reason"), [({"context": ""}, "no_context"), ({"context_set": "0"}, "other_context")]
)
def test_exposures_that_teach_nothing_are_counted(changes, reason) -> None:
    left_out = Counter()
    found = seen_items([delta(log(1, count=3), **changes)], (), SLOTS.__getitem__, left_out)
    assert len(found.times) == 0
    assert +left_out == {reason: 3}


def test_an_exposure_without_a_context_among_others_is_left_out() -> None:
    shown, left_out = log(1, count=3), Counter()
    shown[1] = shown[1]._replace(context=(0,) * 11)
    found = seen_items([delta(shown)], (), SLOTS.__getitem__, left_out)
    assert found.times.tolist() == [shown[0].time, shown[2].time]
    assert +left_out == {"no_context": 1}


def test_a_slate_far_ahead_of_its_record_is_left_out() -> None:
    shown, left_out = (
        [Shown(f"s{n}", T + n, "feed", 1, context(n)) for n in (0, AHEAD_MS, AHEAD_MS + 1)],
        Counter(),
    )
    assert seen_items([delta(shown)], [T], SLOTS.__getitem__, left_out).times.tolist() == [T, T + AHEAD_MS]
    given = [replace(rewards([each._replace(answers=(("click", 1.0, 5.0),))])[0]) for each in shown]
    assert feedback(given, [T] * 3, SLOTS.__getitem__, left_out).times.tolist() == [T, T + AHEAD_MS]
    assert +left_out == {"ahead": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": "AAA="}, "partition 3: 2 exposures need 22 bytes of context, it has 2"),
        ({"context": "*"}, "partition 3: the exposures' context is no base64"),
        ({"scenarios": ("feed",)}, "partition 3: 2 slates and 1 scenarios"),
        ({"slate": (0, 2)}, "partition 3: an exposure of a slate that is not among its 2"),
        ({"slate": (0, -1)}, "an exposure of a slate that is not among its 2"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error_that_names_the_partition(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        seen_items([delta(log(1, count=2), partition=3, **changes)], (), SLOTS.__getitem__, Counter())


def test_rewards_come_out_as_they_are_with_the_times_of_their_slates() -> None:
    shown, left_out = log(2, count=40), Counter()
    answers = [(each, answer) for each in shown for answer in each.answers]
    found = feedback(rewards(shown), (), SLOTS.__getitem__, left_out)
    assert found.times.tolist() == [each.time for each, _ in answers]
    assert found.types.tolist() == [TYPE_CODES[name] for _, (name, _, _) in answers]
    assert found.rewards.tolist() == [reward for _, (_, reward, _) in answers]
    assert found.delays.tolist() == [delay for _, (_, _, delay) in answers]
    assert found.contexts.tolist() == [list(each.context) for each, _ in answers]
    assert not +left_out


def test_a_reward_without_a_context_counts_by_its_delay_alone() -> None:
    (given,) = rewards([Shown("s", T, "feed", 1, context(1), (("click", 1.0, 5.0),))])
    left_out = Counter()
    found = feedback([replace(given, features=()), given], (), SLOTS.__getitem__, left_out)
    assert found.delays.tolist() == [5.0, 5.0]
    assert found.contexts[:, 0].tolist() == [0, 255]
    assert +left_out == {"no_context": 1}


def test_a_reward_of_an_unknown_type_is_left_out() -> None:
    (given,) = rewards([Shown("s", T, "feed", 1, context(1), (("click", 1.0, 5.0),))])
    left_out = Counter()
    found = feedback([replace(given, type="applause")], (), SLOTS.__getitem__, left_out)
    assert found.times.size == 0
    assert found.contexts.shape == (0, 11)
    assert +left_out == {"unknown_type": 1}


@pytest.mark.parametrize("value", [-1.0, 256.0])
def test_features_that_are_no_bytes_are_an_error(value) -> None:
    (given,) = rewards([Shown("s", T, "feed", 1, context(1), (("click", 1.0, 5.0),))])
    with pytest.raises(ValueError, match="bytes, 0 to 255"):
        feedback([replace(given, features=(255.0, value) + (0.0,) * 9)], (), SLOTS.__getitem__, Counter())


def test_times_and_slots_are_whole_numbers_also_where_there_is_nothing() -> None:
    found = seen_items([], (), SLOTS.__getitem__, Counter())
    assert (found.times.dtype, found.slots.dtype, found.contexts.dtype) == (np.int64, np.int64, np.uint8)
