"""Any Parquet file, by `--column` as for CSV; read batch by batch with pyarrow, which is an extra.

With times the rows are sorted by them, else their order is kept. Rows count as lines, from 1.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

from state.catalogue import CatalogueItem
from state.event import Event
from stream.formats.base import BadLine, FormatError, Rejects
from stream.formats.columns import catalogue_of, check_columns, row_event
from stream.formats.form import Input
from stream.formats.sorting import by_time

BATCH_ROWS: Final = 16_384


def load(source: Input, rejects: Rejects) -> Iterator[Event]:
    """One event per row.

    Raises:
        FormatError: pyarrow is missing, it is no Parquet file, or a column is missing or not named that
            must be.
    """
    events = _events(source, rejects)
    yield from by_time(events) if "time" in source.columns else events


def items(source: Input, rejects: Rejects) -> Iterator[CatalogueItem]:
    """What the rows say of the catalogue.

    Raises:
        FormatError: As for `load`.
    """
    del rejects
    yield from catalogue_of(_rows(source))


def _events(source: Input, rejects: Rejects) -> Iterator[Event]:
    for number, values in enumerate(_rows(source), 1):
        try:
            event = row_event(values, number, "parquet")
        except BadLine as bad:
            rejects.add(number, bad.reason, bad.detail)
            continue
        yield event


def _rows(source: Input) -> Iterator[dict[str, str]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        message = "reading Parquet needs pyarrow: pip install 'freshslate[parquet]'"
        raise FormatError(message) from None
    try:
        with parquet.ParquetFile(source.path) as file:
            check_columns(source.columns, file.schema_arrow.names)
            names = list(dict.fromkeys(source.columns.values()))
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                texts = {name: [_text(value) for value in _values(pa, batch[name])] for name in names}
                columns = [texts[name] for name in source.columns.values()]
                for row in zip(*columns, strict=True):
                    yield dict(zip(source.columns, row, strict=True))
    except (pa.ArrowException, OSError) as error:
        message = f"{source.path} cannot be read as Parquet: {error}"
        raise FormatError(message) from None


def _values(pa: Any, column: Any) -> list[Any]:
    # Nanoseconds would need pandas; milliseconds are all that an event has.
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _text(value: object) -> str:
    """A value as CSV would have it; whole numbers of a column with gaps are floats there."""
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
