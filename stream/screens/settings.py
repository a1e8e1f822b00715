"""The settings: a table where there is room, two lines each in a narrow terminal, else a row to grep."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from state.retrieval.config import ModelConfig
from stream.entry_points import PluginRow
from stream.settings_table import SettingRow

TABLE_COLUMNS: Final = 130
"""Narrower than this, a table would break every word."""


def print_settings(console: Console, rows: Sequence[SettingRow]) -> None:
    """Print every setting with its value, default, unit and meaning; what is not the default stands out."""
    if not console.is_terminal:
        for row in rows:
            console.print(plain(row), soft_wrap=True, highlight=False, markup=False)
    elif console.width < TABLE_COLUMNS:
        for row in rows:
            console.print(Text.assemble((f"{row.env}=", "bold"), (row.value, _style(row))), soft_wrap=True)
            console.print(Text(f"    {_told(row)}", "dim"))
    else:
        table = Table("variable", "value", "default", "unit", "meaning", box=None, header_style="bold")
        for row in rows:
            value = Text(row.value, _style(row), overflow="fold")
            table.add_row(row.env, value, Text(row.default), row.unit, Text(row.description))
        console.print(table)


def print_model(console: Console, values: Mapping[str, Any]) -> None:
    """Print the parameters of a model file beside their defaults, one a line."""
    console.print("parameters of the model file:", highlight=False)
    defaults = ModelConfig()
    for name, value in values.items():
        console.print(
            f"  {name} = {value}  # default {getattr(defaults, name)}", highlight=False, markup=False
        )


def print_plugins(console: Console, rows: Sequence[PluginRow]) -> None:
    """Print what is installed beside Freshslate's own; comments, where settings are rows to grep."""
    for row in rows:
        told = f"# {row.kind} {row.name}: {row.target}, of {row.distribution}"
        console.print(told, soft_wrap=True, highlight=False, markup=False)


def plain(row: SettingRow) -> str:
    """`NAME=value  # unit; default ...; meaning`."""
    return f"{row.env}={row.value}  # {_told(row)}"


def _told(row: SettingRow) -> str:
    parts = (row.unit, f"default {row.default or 'none'}", row.description)
    return "; ".join(part for part in parts if part)


def _style(row: SettingRow) -> str:
    return "bold yellow" if row.value != row.default else ""
