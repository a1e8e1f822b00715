from stream.pace import Pace


def test_before_anything_is_known_a_cycle_has_all_it_may():
    assert Pace(1000, 0.02).cap() == 1000


def test_a_cycle_shrinks_to_what_the_step_can_decide_in_its_time():
    pace = Pace(1000, 0.02)
    pace.learn(0.1, 100)
    assert pace.cap() == 20


def test_a_cycle_has_one_event_at_least_and_no_more_than_it_may():
    slow, fast = Pace(1000, 0.02), Pace(1000, 0.02)
    slow.learn(5.0, 1)
    fast.learn(1e-9, 1)
    assert (slow.cap(), fast.cap()) == (1, 1000)


def test_one_slow_cycle_changes_the_cap_by_a_tenth_of_its_slowness():
    pace = Pace(10_000, 1.0)
    pace.learn(0.001, 1)
    pace.learn(0.011, 1)
    assert pace.cap() == 500


def test_a_step_without_events_divides_by_nothing():
    pace = Pace(1000, 0.02)
    pace.learn(0.001, 0)
    assert pace.cap() == 20
