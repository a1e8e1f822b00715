import gzip
from pathlib import Path

import pytest

from state.event import Event, EventItem
from stream.event_file import EventFile
from stream.formats.base import ORDER_START, FormatError, Rejects
from stream.formats.form import Input
from stream.formats.periods import WEEK_MS, load

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "diginetica_stream"


def loaded(folder: Path) -> tuple[list[Event], Rejects]:
    rejects = Rejects()
    return list(load(Input(folder), rejects)), rejects


def test_a_time_is_the_week_and_the_place_among_its_lines(tmp_path: Path) -> None:
    (tmp_path / "period_10.txt").write_bytes(b"7 c\n")
    (tmp_path / "period_2.txt.gz").write_bytes(gzip.compress(b"7 a\n8 b\n"))
    (tmp_path / "README.md").write_bytes(b"not a period")
    events, rejects = loaded(tmp_path)
    assert events[0] == Event(
        event_id="period-2-1",
        type="click",
        user_id="session-7",
        session_id="7",
        time=ORDER_START + 2 * WEEK_MS,
        items=(EventItem("a"),),
    )
    assert [(e.event_id, e.session_id, e.time - ORDER_START) for e in events[1:]] == [
        ("period-2-2", "8", 2 * WEEK_MS + WEEK_MS // 2),
        ("period-10-1", "7", 10 * WEEK_MS),
    ]
    assert not rejects.counts


def test_a_bad_line_is_a_reject_with_its_file_and_number_and_the_next_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "period_0.txt").write_bytes(b"7 a\n\n7\n7 b\n")
    events, rejects = loaded(tmp_path)
    assert [event.event_id for event in events] == ["period-0-1", "period-0-4"]
    ((line, reason, detail),) = rejects.examples
    assert (line, reason) == (3, "wrong_columns")
    assert detail.startswith("period_0.txt: ")


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"there is no period_0\.txt"):
        loaded(tmp_path)


def test_a_period_twice_is_refused(tmp_path: Path) -> None:
    for name in ("period_0.txt", "period_0.txt.gz"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(FormatError, match="are the same period"):
        loaded(tmp_path)


@pytest.mark.data
def test_the_real_folder_is_read_whole_and_in_order() -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: the real periods are NOT checked here")
    file = EventFile(DATA, "periods")
    span = file.span()
    assert span is not None
    assert span.events == 993_483
    assert (span.first - ORDER_START, (span.last - ORDER_START) // WEEK_MS) == (0, 16)
    assert not file.rejects.counts
