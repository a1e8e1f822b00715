"""Records of the log as rows of an Arrow table: a column per wire field, and the record itself.

The columns of slates and rewards are made from `state/slate.py`, so a new field is a new column. pyarrow is
an extra, and imported only when a table is asked for.
"""

from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, UnsetType, to_builtins

from state.errors import FreshslateError, InvalidEvent
from state.event import Event, EventRules, Origin
from state.slate import SCHEMA_VERSION, Reward, Slate
from stream.codecs import decode_event, decode_reward, decode_slate
from stream.work import Record

TIMES: Final = "_utc"
"""Ends the name of the timestamp that stands beside a time in epoch milliseconds."""
RAW: Final = "raw"
"""Column of the record's own bytes."""
RECORD: Final = (RAW, "partition", "offset", "timestamp")
"""Columns of the record itself."""


class ExportError(FreshslateError):
    """It cannot be exported; the message says what to do."""


class EventItemRow(Struct):
    """An item of an exported event."""

    item_id: str
    quantity: float
    price: float | None


class EventRow(Struct, kw_only=True):
    """An exported event: the fields that workers see, which are none where they refuse it."""

    event_id: str | None = None
    type: str | None = None
    user_id: str | None = None
    tenant: str | None = None
    time: int | None = None
    items: tuple[EventItemRow, ...] | None = None
    session_id: str | None = None
    slate_id: str | None = None
    position: int | None = None
    value: float | None = None
    currency: str | None = None
    order_id: str | None = None
    query: str | None = None
    scenario: str | None = None
    context: str | None = None
    """JSON."""
    rejected: str | None = None
    """Why workers write it to the dead letters; one of `state.errors.REASONS`."""


class Kind(NamedTuple):
    """What a topic's rows are."""

    struct: type[Struct]
    decode: Callable[[Record], Struct]
    is_json: bool
    """Whether the records are JSON of the struct."""


def load_pyarrow() -> Any:
    """Pyarrow with its Parquet module.

    Raises:
        ExportError: It is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.compute  # noqa: PLC0415
        import pyarrow.json  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        message = "writing Parquet needs pyarrow: pip install 'freshslate[parquet]'"
        raise ExportError(message) from None
    return pa


def slates() -> Kind:
    """Rows of the topic `slates`."""
    return Kind(Slate, lambda record: decode_slate(record.value or b""), is_json=True)


def rewards() -> Kind:
    """Rows of the topic `rewards`."""
    return Kind(Reward, lambda record: decode_reward(record.value or b""), is_json=True)


def events(rules: EventRules) -> Kind:
    """Rows of an input topic."""

    def decode(record: Record) -> Struct:
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        try:
            return _event_row(decode_event(record.value, origin, rules, record.headers))
        except InvalidEvent as error:
            return EventRow(rejected=error.reason)

    return Kind(EventRow, decode, is_json=False)


def _event_row(event: Event) -> EventRow:
    fields = {name: getattr(event, name) for name in EventRow.__struct_fields__ if hasattr(event, name)}
    items = tuple(EventItemRow(item.item_id, item.quantity, item.price) for item in event.items)
    context = msgspec.json.encode(event.context).decode() if event.context else None
    return EventRow(**fields | {"items": items, "context": context})


def table_of(records: Sequence[Record], kind: Kind) -> Any:
    """A `pyarrow.Table` of these records, in their order.

    Raises:
        ExportError: pyarrow is not installed.
        UnreadableState: A record is of a newer version, or none of ours.
    """
    pa = load_pyarrow()
    fields = _fields(records, kind)
    columns: dict[str, Any] = {}
    moment = pa.timestamp("ms", tz="UTC")
    for name in fields.column_names:
        columns[name] = fields[name]
        if name == "time":
            columns[name + TIMES] = columns[name].cast(moment)
    columns[RAW] = pa.array([record.value for record in records], pa.binary())
    columns["partition"] = pa.array([record.partition for record in records], pa.int32())
    columns["offset"] = pa.array([record.offset for record in records], pa.int64())
    columns["timestamp"] = pa.array([record.timestamp for record in records], pa.int64()).cast(moment)
    return pa.table(columns)


def _fields(records: Sequence[Record], kind: Kind) -> Any:
    """The columns of the wire: by Arrow's own reader of JSON lines where that is what the records are."""
    pa = load_pyarrow()
    schema = pa.schema([(name, arrow_type(each)) for name, each in get_type_hints(kind.struct).items()])
    if kind.is_json and records:
        lines = b"\n".join(record.value or b"" for record in records)
        try:
            table = pa.json.read_json(
                pa.py_buffer(lines),
                read_options=pa.json.ReadOptions(block_size=len(lines) + 1),
                parse_options=pa.json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="ignore"
                ),
            )
        except pa.ArrowInvalid:
            pass  # the decoder says what is wrong, and with which record
        else:
            newest = pa.compute.max(table["schema_version"]).as_py()
            if table.num_rows == len(records) and newest is not None and newest <= SCHEMA_VERSION:
                return table
    rows = [to_builtins(kind.decode(record)) for record in records]
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], kind_) for name, kind_ in _pairs(schema)},
        schema=schema,
    )


def _pairs(schema: Any) -> list[tuple[str, Any]]:
    return list(zip(schema.names, schema.types, strict=True))


def arrow_type(annotation: Any) -> Any:
    """The Arrow type of a struct's field; every column may hold nulls.

    Raises:
        TypeError: There is none.
    """
    pa = load_pyarrow()
    plain = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if annotation in plain:
        return plain[annotation]
    arguments = [each for each in get_args(annotation) if each not in {type(None), UnsetType}]
    if get_origin(annotation) in {Union, UnionType} and len(arguments) == 1:
        return arrow_type(arguments[0])
    if get_origin(annotation) is tuple and arguments[1:] == [...]:
        return pa.list_(arrow_type(arguments[0]))
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        hints = get_type_hints(annotation)
        return pa.struct([(name, arrow_type(each)) for name, each in hints.items()])
    message = f"no column type for {annotation!r}"
    raise TypeError(message)
