"""The command that writes the log as Parquet."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from agents.options import moment_of, quiet
from stream.config import load_settings
from stream.interrupt import Interruptible

if TYPE_CHECKING:
    from stream.export import Exported

EXPORT_EXAMPLES = (
    "Examples: [bold]freshslate export slates --to warehouse[/], "
    "[bold]freshslate export events --to warehouse --from 2025-11-01 --until 2025-11-22T12:00:00Z[/]"
)


def export(
    what: Annotated[
        Literal["slates", "rewards", "events"], typer.Argument(help="events: every input topic.")
    ],
    to: Annotated[Path, typer.Option(file_okay=False, help="Folder; a second run goes on where it ended.")],
    first: Annotated[
        str | None, typer.Option("--from", help="Only records from then on: ISO 8601 or epoch ms.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only records before then.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most rows of a file.")] = 50_000,
) -> None:
    """Write slates, rewards or events to Parquet files: DIR/slates/day=2025-11-22/part-3-0.parquet.

    A column per field of the wire, and raw, partition, offset and timestamp of the record. Run it again, from
    cron for example, and it goes on where it ended, also after it was killed: each record is in one file, and
    no file is half. Needs pip install 'freshslate[parquet]'.
    """
    from stream.export import Window  # noqa: PLC0415 - the runtime takes a second to import
    from stream.export import export as write  # noqa: PLC0415
    from stream.screens.export import ExportScreen  # noqa: PLC0415

    quiet()
    window = Window(*(None if text is None else moment_of(text) for text in (first, until)))
    started = time.monotonic()
    done: list[Exported] = []
    with Interruptible() as interruptible, ExportScreen(Console()) as screen:
        done = interruptible.run(
            write(load_settings(), what, to, window=window, rows=rows, on_progress=screen.show)
        )
    screen.end(done, time.monotonic() - started)
