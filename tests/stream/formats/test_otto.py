import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import Event
from stream.event_file import EventFile
from stream.formats.base import Rejects
from stream.formats.otto import load

SAMPLE = Path(__file__).parents[2] / "samples" / "otto.jsonl"
DAY = 1_659_304_800_000


def line(session: int, *actions: tuple[int, int, str]) -> bytes:
    events = [{"aid": aid, "ts": DAY + ts, "type": kind} for aid, ts, kind in actions]
    return json.dumps({"session": session, "events": events}).encode()


def loaded(*lines: bytes, **options: int) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects, **options)), rejects


def test_a_session_is_a_user() -> None:
    events, _ = loaded(line(7, (1, 0, "clicks"), (2, 5, "carts")))
    assert [(event.user_id, event.type, event.time - DAY) for event in events] == [
        ("otto-7", "click", 0),
        ("otto-7", "add_to_cart", 5),
    ]
    assert [event.event_id for event in events] == ["otto-1", "otto-1.1"]


def test_orders_of_one_moment_are_one_purchase() -> None:
    events, _ = loaded(line(7, (1, 0, "orders"), (2, 0, "orders"), (3, 1, "orders")))
    assert [[item.item_id for item in event.items] for event in events] == [["1", "2"], ["3"]]
    assert {event.type for event in events} == {"purchase"}
    assert len({event.order_id for event in events}) == 2


def test_clicks_of_one_moment_stay_apart() -> None:
    events, _ = loaded(line(7, (1, 0, "clicks"), (2, 0, "clicks")))
    assert [event.items[0].item_id for event in events] == ["1", "2"]


def test_sessions_are_merged_by_time() -> None:
    events, _ = loaded(
        line(1, (1, 0, "clicks"), (2, 50, "clicks")),
        line(2, (3, 10, "clicks"), (4, 30, "clicks"), (5, 70, "clicks")),
        line(3, (6, 40, "clicks")),
    )
    assert [event.items[0].item_id for event in events] == ["1", "3", "4", "6", "2", "5"]


def test_a_session_out_of_order_inside_is_sorted() -> None:
    events, _ = loaded(line(1, (1, 20, "clicks"), (2, 10, "clicks")))
    assert [event.items[0].item_id for event in events] == ["2", "1"]


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=6), min_size=1, max_size=12))
def test_with_sessions_sorted_by_start_the_whole_stream_is_sorted(sessions: list[list[int]]) -> None:
    starts = sorted(sorted(times) for times in sessions)
    lines = [line(n, *((n, ts, "clicks") for ts in times)) for n, times in enumerate(starts)]
    events, _ = loaded(*lines)
    assert [event.time for event in events] == sorted(DAY + ts for times in sessions for ts in times)
    assert len({event.event_id for event in events}) == len(events)


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=6), min_size=1, max_size=12))
def test_a_bounded_merge_keeps_every_event_and_every_users_order(sessions: list[list[int]]) -> None:
    lines = [line(n, *((n, ts, "clicks") for ts in times)) for n, times in enumerate(sessions)]
    events, _ = loaded(*lines, max_waiting=2)
    assert sorted(event.time for event in events) == sorted(DAY + ts for times in sessions for ts in times)
    for user in {event.user_id for event in events}:
        own = [event.time for event in events if event.user_id == user]
        assert all(earlier <= later for earlier, later in pairwise(own))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"session": 1', "not_json"),
        (b'{"session": 1}', "wrong_type"),
        (b'{"session": 1, "events": [{"aid": 1, "ts": "x", "type": "clicks"}]}', "wrong_type"),
        (b'{"session": 1, "events": [{"aid": 1, "ts": 5, "type": "likes"}]}', "unknown_type"),
        (b'{"session": 1, "events": [{"aid": 1, "ts": 0, "type": "clicks"}]}', "wrong_time"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(bad: bytes, reason: str) -> None:
    events, rejects = loaded(bad, b"\n", line(2, (9, 0, "clicks")))
    assert [event.user_id for event in events] == ["otto-2"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(1, reason)]


def test_the_sample_is_read_whole_and_in_order() -> None:
    file = EventFile(SAMPLE, "otto")
    events = list(file)
    assert not file.rejects.counts
    assert Counter(event.type for event in events) == {"click": 800, "add_to_cart": 52, "purchase": 5}
    assert sum(len(event.items) for event in events) == 862
    assert events == sorted(events, key=lambda event: event.time)


def test_the_samples_licence_and_owner_are_told_beside_it() -> None:
    credit = (SAMPLE.parent / "README.md").read_text()
    assert "CC BY 4.0" in credit
    assert "Otto GmbH & Co KG" in credit
