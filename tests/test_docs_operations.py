"""The settings in the documentation are those of the code."""

from pathlib import Path

from stream.config import Settings
from stream.settings_table import settings_table

DOC = Path(__file__).parents[1] / "docs" / "operations.md"


def table() -> str:
    """The settings as Markdown."""
    rows = ["| variable | default | unit | meaning |", "|---|---|---|---|"]
    for row in settings_table(Settings()):
        default = f"`{row.default}`" if row.default else ""
        rows.append(f"| `{row.env}` | {default} | {row.unit} | {row.description.replace('|', '/')} |")
    return "\n".join(rows)


def test_the_operations_page_lists_every_setting_as_it_is() -> None:
    documented = DOC.read_text(encoding="utf-8")
    missing = [row for row in table().splitlines() if row not in documented]
    assert missing == [], "python -m tests.test_docs_operations prints the table"


if __name__ == "__main__":
    print(table())
