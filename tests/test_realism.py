"""The pure parts of `benchmarks.realism`: cells, reasons, intervals, and what happens without data."""

import gzip
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.inputs import DATA
from benchmarks.realism import (
    NOTHING,
    ROWS,
    Report,
    arguments,
    as_json,
    as_markdown,
    click_lines,
    measured,
    notes,
    show,
    table_of,
    wilson,
)
from benchmarks.streams import (
    REAL,
    Absent,
    Column,
    diginetica_views,
    diginetica_week,
    open_bandit,
    otto,
    taobao_histories,
)
from state.evaluation.traffic import traffic
from state.event import Event, EventItem

ITEM = (EventItem("tent-1", 1, 20.0),)


def shop_column(lacks: dict[str, str] | None = None) -> Column:
    """Ten slates of two items, three of them clicked at their first, and one purchase."""
    shown = [
        Event(event_id=f"i{n}", type="impression", user_id="u", time=n, items=ITEM * 2, slate_id=f"s{n}")
        for n in range(10)
    ]
    clicks = [
        Event(
            event_id=f"c{n}", type="click", user_id="u", time=20 + n, items=ITEM, slate_id=f"s{n}", position=1
        )
        for n in range(3)
    ]
    bought = Event(event_id="p", type="purchase", user_id="u", time=90, items=ITEM)
    return Column("shop", "made by hand", traffic([*shown, *clicks, bought], {"tent-1": "tent"}), lacks or {})


def cell(column: Column, label: str) -> str:
    lines, _ = table_of([column])
    return next(line[1] for line in lines if line[0] == label)


def test_a_cell_has_its_unit():
    column = shop_column()
    assert cell(column, "events") == "14"
    assert cell(column, "items bought per view or click") == "33.3 %"
    assert cell(column, "between interactions, median") == "0 s"
    assert cell(column, "value of a purchase, mean") == "20"
    assert cell(column, "slates clicked") == "30 %"


def test_what_a_stream_cannot_say_is_empty_with_a_letter_for_the_reason():
    columns = [
        shop_column({"value": "no prices", "sessions": "no sessions"}),
        shop_column({"rhythm": "no prices"}),
    ]
    lines, reasons = table_of(columns)
    by_label = {line[0]: line[1:] for line in lines}
    assert reasons[0] == "no sessions"
    letter = "abcdefgh"[reasons.index("no prices")]
    assert by_label["value of a purchase, mean"] == [f"- {letter}", "20"]
    assert by_label["rate, coefficient of variation"][1] == f"- {letter}"


def test_what_did_not_happen_is_empty_and_says_so():
    _, reasons = table_of([shop_column()])
    assert NOTHING in reasons
    assert cell(shop_column(), "busiest hour by mean hour").startswith("- ")


@pytest.mark.data
@pytest.mark.parametrize("source", [taobao_histories, otto, diginetica_views, diginetica_week])
def test_every_reason_of_a_real_log_belongs_to_a_row(source):
    found = source(DATA)
    if isinstance(found, Absent):
        pytest.skip(f"{found.path} is absent: the column of this REAL log is NOT checked")
    assert set(found.lacks) <= {row.group for row in ROWS}


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (38, 10_000, 0.00277, 0.00521), (5, 10, 0.2366, 0.7634)],
)
def test_the_interval_of_a_share_is_wilsons(successes, trials, low, high):
    assert wilson(successes, trials) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_click_through_has_a_line_per_position_with_its_interval():
    lines = click_lines([shop_column()])
    assert lines == [["position 1", "30 % (11 - 60)"], ["position 2", "0 % (0 - 28)"]]


def test_without_data_it_says_loudly_what_is_not_shown(tmp_path):
    report = measured([shop_column()], tmp_path)
    assert len(report.absent) == len(REAL) + 2
    assert [column.name for column in report.columns] == ["shop"]
    console = Console(width=200)
    with console.capture() as captured:
        show(report, console)
    assert captured.get().count("NOT SHOWN") == len(report.absent)
    assert "users_8day.csv.gz" in captured.get()


def test_open_bandit_rows_become_impressions_and_clicks_by_position(tmp_path):
    folder = tmp_path / "open_bandit" / "random"
    folder.mkdir(parents=True)
    rows = [
        ",timestamp,item_id,position,click",
        *(f"{n},2019-11-24 00:00:0{n}.762830+00:00,7,{1 + n % 3},{int(n == 2)}" for n in range(6)),
    ]
    (folder / "all.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    found, absent = open_bandit(tmp_path)
    assert isinstance(found, Column)
    assert found.traffic.slates.impressions_at == (2, 2, 2)
    assert found.traffic.slates.clicks_at == (0, 0, 1)
    assert isinstance(absent, Absent)


def test_markdown_and_json_hold_every_stream_and_note():
    report = Report([shop_column({"value": "no prices"})], [], [Absent("Taobao", Path("nowhere"))])
    text = as_markdown(report)
    assert text.count("| --- | ---: |") == 2
    assert all(f"- {note}" in text for note in notes(report))
    written = json.loads(as_json(report))
    assert written["streams"]["shop"]["traffic"]["events"] == 14
    assert written["absent"] == ["nowhere"]


def test_the_command_line_has_a_seed_and_a_folder(tmp_path):
    given = arguments(["--seed", "7", "--data", str(tmp_path), "--markdown"])
    assert (given.seed, given.data, given.markdown, given.json) == (7, tmp_path, True, None)
    assert arguments([]).data == DATA
