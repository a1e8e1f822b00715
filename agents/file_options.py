"""Options of every command that reads a file of events, and the file they describe."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from stream.event_file import EventFile
from stream.formats import FORMATS
from stream.formats.columns import ROLES, parse_columns

FormatName: TypeAlias = Annotated[
    str, typer.Option("--format", help=f"{', '.join(FORMATS)}; [bold]freshslate formats[/] tells about them.")
]
Limit: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Only the first so many events.")]
Columns: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--column", help=f"csv and parquet: ROLE=NAME, several with commas; {', '.join(ROLES)}."),
]
Catalogue: TypeAlias = Annotated[
    list[Path] | None, typer.Option(help="File of the catalogue, in the format's own form or JSON lines.")
]


def event_file(
    path: Path,
    form: str,
    *,
    limit: int | None = None,
    columns: list[str] | None = None,
    catalogue: list[Path] | None = None,
) -> EventFile:
    """The file that the options describe.

    Raises:
        FormatError: There is no such file or format, or an option does not fit it.
    """
    return EventFile(path, form, limit=limit, columns=parse_columns(columns or ()), catalogue=catalogue or ())
