"""How settings are printed."""

import io

import pytest
from rich.console import Console

from stream.entry_points import PluginRow
from stream.screens.settings import plain, print_model, print_plugins, print_settings
from stream.settings_table import SettingRow

ROWS = [
    SettingRow("FRESHSLATE_PARTITIONS", "16", "8", "partitions", "Partitions of every topic. " * 8),
    SettingRow("FRESHSLATE_INSTANCE_ID", "", "", "name", "Static [membership]."),
    SettingRow("FRESHSLATE_POLICY", "softmax", "softmax", "", "How a slate is drawn."),
]


def printed(width: int, *, terminal: bool) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_settings(console, ROWS)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_without_a_terminal_a_setting_is_one_row_however_long() -> None:
    lines = printed(40, terminal=False)
    assert lines == [plain(row).rstrip() for row in ROWS]
    assert lines[1] == "FRESHSLATE_INSTANCE_ID=  # name; default none; Static [membership]."
    assert lines[2] == "FRESHSLATE_POLICY=softmax  # default softmax; How a slate is drawn."


@pytest.mark.parametrize("width", [40, 80, 129])
def test_in_a_narrow_terminal_the_name_is_whole_and_the_meaning_below_it(width: int) -> None:
    lines = printed(width, terminal=True)
    assert "FRESHSLATE_PARTITIONS=16" in lines
    assert lines[1].lstrip().startswith("partitions; default 8")
    assert max(map(len, lines)) <= width


def test_a_wide_terminal_gets_a_table() -> None:
    lines = printed(160, terminal=True)
    assert lines[0].split() == ["variable", "value", "default", "unit", "meaning"]
    assert any(line.startswith(" FRESHSLATE_INSTANCE_ID") and "[membership]" in line for line in lines)


def test_the_parameters_of_a_model_file_stand_beside_their_defaults() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_model(console, {"neighbours": 500})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "parameters of the model file:",
        "  neighbours = 500  # default 90",
    ]


def test_a_plug_in_is_a_comment_among_the_rows() -> None:
    console = Console(file=io.StringIO(), width=40, color_system=None)
    print_plugins(console, [PluginRow("source", "season", "acme_slates:Season[x]", "acme-slates 1.0")])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "# source season: acme_slates:Season[x], of acme-slates 1.0\n"
