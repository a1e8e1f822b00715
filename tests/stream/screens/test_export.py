"""An export's progress on a screen."""

import pytest

from stream.export import Exported
from stream.screens.export import ExportScreen
from tests.stream.screens.made import console, text


def exported(share: float, rows: int, topic: str = "slates") -> Exported:
    return Exported(topic, rows, rows, rows // 100, share, 1_763_831_062_733)


def test_without_a_terminal_it_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.screens.counting.LINE_SECONDS", 0.0)
    out = console(120, terminal=False)
    with ExportScreen(out) as screen:
        screen.show(exported(0.25, 1_200))
    assert text(out).startswith("slates: 25%, 1,200 records, ")
    assert "at 2025-11-22 17:04:22" in text(out)


def test_the_end_has_rows_files_and_rate_by_topic() -> None:
    out = console(120, terminal=False)
    with ExportScreen(out) as screen:
        screen.end([exported(1.0, 500, "clicks"), exported(1.0, 0, "views")], 2.0)
    assert text(out).splitlines() == [
        "clicks: 500 rows in 5 files",
        "views: nothing new",
        "2.0 s, 250 rows/s",
    ]


def test_a_terminal_has_a_bar() -> None:
    out = console(120)
    with ExportScreen(out) as screen:
        screen.show(exported(0.5, 700))
        screen._bar.refresh()
        assert "50%" in text(out)
        assert "700 records" in text(out)
