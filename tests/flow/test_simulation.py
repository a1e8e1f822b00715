"""Shop and engine in one process: what the engine learns, shoppers click."""

from collections import Counter

import pytest

from state.event import EventRules, Origin
from state.simulation.config import ShopConfig, demo_config
from stream.codecs import decode_event, encode_event
from tests.flow.shop import ClosedLoop

SEEDS = (1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def loop(request):
    """A shop that was watched for 4,000 events and served for 6,000."""
    loop = ClosedLoop(demo_config(200.0), seed=request.param)
    loop.run(events=4_000, answered=False)
    assert not loop.seen
    loop.run(events=6_000)
    return loop


def test_the_learned_arm_is_truly_better_than_the_random_one_and_not_perfect(loop):
    learned, random = loop.arm("softmax"), loop.arm("random")
    assert min(learned.slates, random.slates) > 800
    assert learned.expected > 1.3 * random.expected
    assert learned.best > 1.3 * learned.expected
    # Who is shown what does not change how good the best slates are.
    assert learned.best == pytest.approx(random.best, rel=0.15)


def test_the_learned_arm_is_clicked_more(loop):
    assert loop.arm("softmax").ctr > 1.15 * loop.arm("random").ctr


@pytest.mark.parametrize("name", ["softmax", "random"])
def test_slates_are_clicked_as_often_as_their_true_probabilities_say(loop, name):
    # The latest slates may yet be clicked: only those of sessions that have gone on count.
    settled = dict(list(loop.seen.items())[:-300])
    mine = {slate: judged for slate, judged in settled.items() if judged[0] == name}
    expected = sum(judged[1] for judged in mine.values())
    variance = sum(judged[1] * (1 - judged[1]) for judged in mine.values())
    clicked = sum(slate in loop.clicked for slate in mine)
    assert abs(clicked - expected) < 4 * variance**0.5


def test_no_slate_is_expected_to_do_better_than_the_best_one(loop):
    assert all(expected <= best + 1e-12 for _, expected, best in loop.seen.values())


def test_the_top_of_a_slate_is_clicked_more_than_its_end(loop):
    places = Counter(loop.clicked.values())
    assert places[1] > places[5]
    assert sum(places[k] for k in (1, 2, 3)) > 1.3 * sum(places[k] for k in (8, 9, 10))


def test_every_click_on_a_slate_is_rewarded_to_that_slate(loop):
    rewarded = {reward.slate_id for reward in loop.rewards if reward.type == "click"}
    assert rewarded == loop.clicked.keys()
    clicks = [event for event in loop.events if event.type == "click"]
    assert sum(reward.type == "click" for reward in loop.rewards) == len(clicks)


def test_every_event_survives_the_wire(loop):
    for offset, event in enumerate(loop.events):
        origin = Origin("events", 0, offset, event.time)
        assert decode_event(encode_event(event), origin, EventRules()) == event


def test_shoppers_who_ignore_slates_are_answered_but_not_seen():
    config = ShopConfig(
        shoppers=300, items=240, categories=12, looks_share=0.0, think_seconds=1.0, events_per_second=100.0
    )
    loop = ClosedLoop(config, seed=3)
    loop.run(events=500)
    assert loop.slates > 400
    assert not loop.seen
    assert {event.type for event in loop.events} <= {"view", "add_to_cart", "purchase"}


def test_the_loop_repeats_itself():
    first, second = (ClosedLoop(demo_config(100.0), seed=7) for _ in range(2))
    first.run(events=1_500)
    second.run(events=1_500)
    assert first.events == second.events
    assert first.seen == second.seen
