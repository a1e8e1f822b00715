import io

import pytest
from rich.console import Console

from stream.formats import FORMATS
from stream.screens.formats import print_formats


@pytest.mark.parametrize("terminal", [False, True])
def test_every_format_has_its_name_what_it_is_and_an_example(terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, color_system=None)
    print_formats(console, FORMATS)
    assert isinstance(console.file, io.StringIO)
    told = " ".join(console.file.getvalue().split())
    for name, form in FORMATS.items():
        assert f"{name} {form.about} freshslate replay {form.example} {form.note}".strip() in told
