import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.event import TYPE_CODES
from state.policy.context import CONTEXT_SET
from state.posterior.config import LearningConfig
from state.posterior.examples import MOST_WEIGHT, Examples
from state.posterior.sums import TYPES
from tests.state.posterior.made import MINUTE, Shown, T, context, delta, log, rewards

CONFIG = LearningConfig()
ALL_ARRIVED = np.ones(TYPES)
FAR = 10**9
SHOWN = log(3, count=120, minutes=3)


def of(shown, **changes):
    examples = Examples(CONFIG, **changes)
    examples.learn([delta(shown)])
    examples.reward(rewards(shown))
    return examples


def quick(each):
    return sum(reward for _, reward, delay in each.answers if delay <= CONFIG.maturity_seconds)


def test_every_exposure_is_an_example_with_what_it_earned_within_maturity_in_the_order_of_time() -> None:
    found = of(SHOWN).mature(FAR, ALL_ARRIVED)
    expected = sorted(SHOWN, key=lambda each: (each.time, each.slate))
    assert [example.x for example in found] == [
        tuple(byte / 255 for byte in each.context) for each in expected
    ]
    assert [example.y for example in found] == [quick(each) for each in expected]
    assert {example.weight for example in found} == {1.0}
    assert any(example.y for example in found)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([5, 20, 1000]))
def test_the_order_in_which_records_come_does_not_matter(draw, per_bucket) -> None:
    records = [delta([each]) for each in SHOWN] + rewards(SHOWN)
    draw.shuffle(records)
    examples = Examples(CONFIG, per_bucket)
    for each in records:
        (examples.learn if hasattr(each, "exposures") else examples.reward)([each])
    assert examples.mature(FAR, ALL_ARRIVED) == of(SHOWN, per_bucket=per_bucket).mature(FAR, ALL_ARRIVED)


def test_beyond_the_bound_a_sample_stands_for_all() -> None:
    shown = log(4, count=4000, minutes=1)
    examples = of(shown, per_bucket=100)
    buckets = len({each.time // MINUTE for each in shown})
    assert len(examples) == 100 * buckets
    found = examples.mature(FAR, ALL_ARRIVED)
    assert sum(example.weight for example in found) == pytest.approx(4000)
    mean = sum(example.weight * example.y for example in found) / 4000
    assert mean == pytest.approx(np.mean([quick(each) for each in shown]), rel=0.25)


def test_a_bucket_is_told_once_and_what_comes_later_is_counted() -> None:
    examples, first = of(SHOWN), SHOWN[0].time // MINUTE
    own = [each for each in SHOWN if each.time // MINUTE <= first]
    assert len(examples.mature(first, ALL_ARRIVED)) == len(own)
    assert examples.mature(first, ALL_ARRIVED) == []
    examples.learn([delta(own)])
    assert examples.late == len(own)
    assert len(examples.mature(FAR, ALL_ARRIVED)) == len(SHOWN) - len(own)


@pytest.mark.parametrize(("share", "weight"), [(1.0, 1.0), (0.25, 4.0), (1e-9, MOST_WEIGHT)])
def test_a_reward_stands_for_those_of_its_type_that_do_not_come_in_time(share, weight) -> None:
    shares = np.ones(TYPES)
    shares[TYPE_CODES["purchase"]] = share
    shown = [Shown("s", T, "feed", 1, context(1), (("click", 1.0, 5.0), ("purchase", 5.0, 60.0)))]
    (example,) = of(shown).mature(FAR, shares)
    assert example.y == pytest.approx(1.0 + 5.0 * weight)


def test_positions_of_one_slate_are_examples_of_their_own() -> None:
    shown = [Shown("s", T, "feed", n, context(n), (("click", float(n), 5.0),)) for n in (1, 2, 10)]
    assert [example.y for example in of(shown).mature(FAR, ALL_ARRIVED)] == [1.0, 2.0, 10.0]


def test_exposures_without_a_context_are_no_examples() -> None:
    examples = Examples(CONFIG)
    examples.learn([delta(SHOWN, context=""), delta(SHOWN, context_set=CONTEXT_SET[::-1])])
    examples.learn([delta([SHOWN[0]._replace(context=(0,) * 11)])])
    assert len(examples) == 0


def test_it_goes_on_from_a_snapshot() -> None:
    first, second = of(SHOWN[:60], per_bucket=20), Examples(CONFIG, 20)
    second.restore(first.snapshot())
    for examples in (first, second):
        examples.learn([delta(SHOWN[60:])])
        examples.reward(rewards(SHOWN[60:]))
    assert second.mature(FAR, ALL_ARRIVED) == first.mature(FAR, ALL_ARRIVED)


def test_no_room_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="per_bucket must be at least 1, not 0"):
        Examples(CONFIG, 0)
