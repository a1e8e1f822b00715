from pathlib import Path

import pytest

from stream.formats import FORMATS
from stream.formats.base import Rejects
from stream.formats.form import Input, by_lines
from stream.formats.jsonl import items, load


def test_a_format_of_lines_reads_its_file_each_time_anew(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"type": "click", "user_id": 1, "item_id": 2, "time": 1511658005000}\n?\n')
    read = by_lines(load)
    for _ in range(2):
        rejects = Rejects()
        assert [event.user_id for event in read(Input(path), rejects)] == ["1"]
        assert dict(rejects.counts) == {"not_json": 1}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_in_a_line_what_it_is_and_has_an_example(name: str) -> None:
    form = FORMATS[name]
    assert 20 < len(form.about) <= 90
    assert f"--format {name}" in form.example


def test_a_catalogue_is_json_lines_unless_the_format_has_its_own() -> None:
    own = {name for name, form in FORMATS.items() if form.catalogue is not items}
    assert own == {"diginetica", "retailrocket", "amazon"}
