"""The file formats, for people: name, what it is, and a command that reads it."""

from collections.abc import Mapping

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from stream.formats import Format


def print_formats(console: Console, formats: Mapping[str, Format]) -> None:
    """Print two lines a format, and a third where it does not know all."""
    width = max(map(len, formats))
    for name, form in formats.items():
        console.print(Text.assemble((f"{name:<{width}}  ", "bold"), form.about), soft_wrap=True)
        lines = [Text(f"freshslate replay {form.example}", "cyan")]
        if form.note:
            lines.append(Text(form.note, "dim"))
        for line in lines:
            if console.is_terminal:
                console.print(Padding(line, (0, 0, 0, width + 2)))
            else:
                console.print(Text.assemble(" " * (width + 2), line), soft_wrap=True)
