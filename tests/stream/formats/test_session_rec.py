from pathlib import Path

import pytest

from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.formats.base import FormatError, Rejects
from stream.formats.session_rec import load

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "golden"
HEADER = b"SessionId\tItemId\tTime\n"


def loaded(*lines: bytes) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(lines, rejects)), rejects


def test_a_row_is_a_click_of_its_session() -> None:
    events, rejects = loaded(HEADER, b"27\t5959\t1593536687.25\n")
    assert events == [
        Event(
            event_id="session-rec-2",
            type="click",
            user_id="session-27",
            session_id="27",
            time=1_593_536_687_250,
            items=(EventItem("5959"),),
        )
    ]
    assert not rejects.counts


def test_columns_stand_in_any_order_and_a_user_is_used() -> None:
    (event,), _ = loaded(b"UserId\tTime\tSessionId\tDate\tItemId\n", b"9\t1593536687\t27\tx\t5959\n")
    assert (event.user_id, event.session_id, event.items[0].item_id) == ("9", "27", "5959")


def test_sessions_are_merged_by_time_and_a_sessions_rows_are_sorted() -> None:
    events, _ = loaded(HEADER, b"1\tc\t1593536687", b"1\ta\t1593536680", b"2\tb\t1593536681")
    assert [event.items[0].item_id for event in events] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"27\t5959", "wrong_columns"),
        (b"\t5959\t1593536687", "missing_user"),
        (b"27\t\t1593536687", "missing_item"),
        (b"27\t5959\t5", "wrong_time"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_number_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    events, rejects = loaded(HEADER, line, b"27\t5\t1593536687")
    assert [event.event_id for event in events] == ["session-rec-3"]
    assert [(reject.line, reject.reason) for reject in rejects.examples] == [(2, reason)]


@pytest.mark.parametrize("header", [b"", b"SessionId,ItemId,Time\n", b"SessionId\tTime\n"])
def test_a_file_of_another_kind_is_refused_whole(header: bytes) -> None:
    with pytest.raises(FormatError, match="not a file prepared by session-rec: the first line has no column"):
        loaded(header)


@pytest.mark.data
@pytest.mark.parametrize(("member", "rows"), [("train.txt", 113_601), ("test.txt", 1_233)])
def test_the_real_files_are_read_from_their_archive_in_time_order(member: str, rows: int) -> None:
    path = DATA / "serenade_example.zip"
    if not path.exists():
        pytest.skip(f"{path} is absent: real files of session-rec's form are NOT checked here")
    file = EventFile(path / member, "session-rec")
    events = list(file)
    assert (len(events), file.rejects.counts.total()) == (rows, 0)
    assert events == sorted(events, key=lambda event: event.time)
