"""The options of commands that read a file of events."""

import zipfile
from pathlib import Path

import pytest

from agents.file_options import event_file
from stream.formats import FORMATS, FormatError


def made(name: str) -> None:
    """An empty file of this name, in an archive where the name says so."""
    archive, _, member = name.partition("/")
    if member:
        with zipfile.ZipFile(archive, "a") as packed:
            packed.writestr(member, b"")
    else:
        Path(name).write_bytes(b"")


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_of_a_format_fits_its_options(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, *options = FORMATS[name].example.split()
    given: dict[str, list[str]] = {"--format": [], "--column": [], "--catalogue": []}
    for option, value in zip(options[::2], options[1::2], strict=True):
        given[option].append(value)
    if FORMATS[name].takes == "folder":
        Path(path).mkdir()
    for file in ([] if FORMATS[name].takes == "folder" else [path]) + given["--catalogue"]:
        made(file)
    catalogue = [Path(each) for each in given["--catalogue"]]
    file = event_file(Path(path), *given["--format"], columns=given["--column"], catalogue=catalogue)
    assert file.path == Path(path)


def test_a_wrong_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="column 'sku' must be ROLE=NAME"):
        event_file(tmp_path, "csv", columns=["sku"])
