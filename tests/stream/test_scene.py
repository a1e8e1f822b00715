"""What the demo plays."""

import pytest

from stream.scene import CROWD_PER_SECOND, FEWEST, MOST, SHOPPER, load_sample, make_scene

EVENTS = load_sample()


def test_every_event_of_the_sample_is_played_once_as_itself() -> None:
    scene = make_scene(EVENTS, 30)
    own = [cue.event.event_id for cue in scene.cues if cue.event.user_id == SHOPPER]
    assert sorted([event.event_id for event in scene.past] + own) == sorted(e.event_id for e in EVENTS)


def test_the_crowd_comes_under_names_of_its_own_and_never_as_the_shopper() -> None:
    scene = make_scene(EVENTS, 60)
    crowd = [cue.event for cue in scene.cues if cue.event.user_id != SHOPPER]
    assert len(crowd) == 60 * CROWD_PER_SECOND
    assert not {event.user_id for event in crowd} & {event.user_id for event in EVENTS}
    assert not any(event.user_id.startswith(f"{SHOPPER}.") for event in crowd)


@pytest.mark.parametrize("seconds", [1, 5, 60, 600])
def test_no_event_id_comes_twice(seconds: float) -> None:
    scene = make_scene(EVENTS, seconds)
    ids = [event.event_id for event in scene.past] + [cue.event.event_id for cue in scene.cues]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("seconds", "shown"), [(1, FEWEST), (30, 30), (600, MOST)])
def test_the_shopper_clicks_about_once_a_second_within_bounds(seconds: float, shown: int) -> None:
    scene = make_scene(EVENTS, seconds)
    assert scene.shown == shown
    assert all(0 <= cue.due < seconds for cue in scene.cues)


def test_cues_are_in_order_and_so_are_the_shoppers_own_clicks() -> None:
    scene = make_scene(EVENTS, 10)
    assert [cue.due for cue in scene.cues] == sorted(cue.due for cue in scene.cues)
    own = [cue.event.time for cue in scene.cues if cue.event.user_id == SHOPPER]
    assert own == sorted(own)


def test_speed_sends_more_events_in_the_same_time() -> None:
    slow, fast = make_scene(EVENTS, 20), make_scene(EVENTS, 20, speed=2)
    assert len(fast.cues) == 2 * len(slow.cues)
    assert max(cue.due for cue in fast.cues) < 20


def test_sessions_of_the_live_events_are_named_since_their_pauses_are_not_played() -> None:
    scene = make_scene(EVENTS, 60)
    sessions = {cue.event.session_id for cue in scene.cues if cue.event.user_id == SHOPPER}
    assert None not in sessions
    assert len(sessions) > 1
