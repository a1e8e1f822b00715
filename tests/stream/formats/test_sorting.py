from hypothesis import given
from hypothesis import strategies as st

from state.event import Event, EventItem
from stream.formats.sorting import by_time


def events(times: list[int]) -> list[Event]:
    return [
        Event(
            event_id=str(n), type="click", user_id="u", time=time, items=(EventItem("i"),), context={"n": n}
        )
        for n, time in enumerate(times)
    ]


@given(st.lists(st.integers(0, 20), max_size=60), st.integers(1, 70))
def test_runs_of_any_size_give_what_one_stable_sort_gives(times: list[int], run_events: int) -> None:
    unsorted = events(times)
    assert list(by_time(unsorted, run_events=run_events)) == sorted(unsorted, key=lambda event: event.time)


def test_events_are_taken_as_they_are_needed() -> None:
    taken = []
    source = (taken.append(event) or event for event in events([3, 1, 2, 0]))
    assert next(by_time(source, run_events=10)).time == 0
    assert len(taken) == 4
