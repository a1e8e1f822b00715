import gzip
import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.formats.base import FormatError
from stream.formats.packed import is_there, located, opened

LINES = b"one\ntwo\n"


def read(path: Path) -> bytes:
    with opened(path) as file:
        return b"".join(file)


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("_csv", ".csv"), content)
    return path


@pytest.mark.parametrize("content", [LINES, gzip.compress(LINES)], ids=["plain", "gzip"])
def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    assert read(path) == LINES


@pytest.mark.parametrize("content", [LINES, gzip.compress(LINES)], ids=["plain", "gzip"])
def test_the_only_file_of_an_archive_needs_no_name(tmp_path: Path, content: bytes) -> None:
    path = archive(tmp_path / "a.zip", log_csv=content, **{"__MACOSX/log_csv": b"?"})
    assert read(path) == LINES
    assert located(path) == (path, "log.csv")


def test_one_of_several_files_is_named_behind_the_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a_csv=LINES, **{"deep/b_csv": b"other"})
    assert read(path / "a.csv") == LINES
    assert read(path / "deep" / "b.csv") == b"other"
    assert [is_there(each) for each in (path / "a.csv", path / "c.csv", path)] == [True, False, False]


def test_without_a_name_the_files_of_an_archive_are_listed(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", a_csv=LINES, b_csv=LINES)
    with pytest.raises(
        FormatError, match=r"a\.zip holds a\.csv, b\.csv: name one of them, as in .*a\.zip/a\.csv"
    ):
        located(path)
    with pytest.raises(FormatError, match=r"there is no c\.csv in .*a\.zip; it holds a\.csv, b\.csv"):
        located(path / "c.csv")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"there is no file .*nowhere\.csv"):
        read(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("cut", [15, 30])
def test_a_damaged_gzip_is_one_clear_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(LINES * 50)[:cut])
    with pytest.raises(FormatError, match=r"rows\.csv\.gz is damaged"):
        read(path)


def test_bytes_damaged_inside_a_gzip_are_one_clear_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 40))
    packed[20] ^= 0xFF
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(FormatError, match=r"rows\.csv\.gz is damaged"):
        read(path)


def test_a_damaged_member_is_one_clear_error(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", log_csv=bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.zip is damaged"):
        read(path)


@pytest.mark.parametrize("content", [LINES, gzip.compress(LINES)], ids=["plain", "gzip"])
def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    pipe = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    monkeypatch.setattr("stream.formats.packed.sys", SimpleNamespace(stdin=SimpleNamespace(buffer=pipe)))
    assert read(Path("-")) == LINES
