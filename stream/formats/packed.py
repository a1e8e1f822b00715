"""A file's bytes, whatever it is packed in: plain, gzip, or in a zip archive; `-` is standard input."""

import gzip
import io
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final, cast

from stream.formats.base import FormatError

GZIP: Final = b"\x1f\x8b"
PIPE: Final = Path("-")
"""Stands for standard input."""
BUFFER_BYTES: Final = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file by its bytes, not by its name.

    Args:
        path: The file; of a zip archive with several files `archive.zip/member`.

    Raises:
        FormatError: There is no such file, an archive holds several, or it is damaged: that may show up late.
    """
    archive, member = located(path)
    try:
        with nullcontext(sys.stdin.buffer) if path == PIPE else archive.open("rb") as raw:
            if member is None:
                yield _unzipped(raw)
            else:
                with zipfile.ZipFile(raw) as packed, packed.open(member) as inner:
                    yield _unzipped(cast("BinaryIO", io.BufferedReader(inner, BUFFER_BYTES)))
    except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile) as error:
        message = f"{path} is damaged: {error}"
        raise FormatError(message) from None


def located(path: Path) -> tuple[Path, str | None]:
    """The file on disk, and which member of it is meant where it is a zip archive.

    Raises:
        FormatError: There is no such file or member, or an archive holds several and none is named.
    """
    if path == PIPE:
        return path, None
    if path.is_file():
        return (path, _member(path, None)) if zipfile.is_zipfile(path) else (path, None)
    for parent in path.parents:
        if parent.is_file() and zipfile.is_zipfile(parent):
            return parent, _member(parent, path.relative_to(parent).as_posix())
    message = f"there is no file {path}"
    raise FormatError(message)


def is_there(path: Path) -> bool:
    """Whether there is such a file, or one in an archive, that can be read without saying more."""
    try:
        located(path)
    except FormatError:
        return False
    return True


def _member(archive: Path, name: str | None) -> str:
    with zipfile.ZipFile(archive) as packed:
        names = [each for each in packed.namelist() if not each.endswith("/") and "__MACOSX" not in each]
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return name
    held = ", ".join(names[:20])
    if name is None:
        message = f"{archive} holds {held}: name one of them, as in {archive / (names or ['file'])[0]}"
    else:
        message = f"there is no {name} in {archive}; it holds {held}"
    raise FormatError(message)


def _unzipped(raw: BinaryIO) -> BinaryIO:
    packed = isinstance(raw, io.BufferedReader) and raw.peek(2).startswith(GZIP)
    return cast("BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=raw), BUFFER_BYTES)) if packed else raw
