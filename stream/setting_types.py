"""What a setting is made of: its field, and types that are more than a word or a number."""

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from state.fronts.front import FRONTS, OWN
from state.retrieval.config import parse_weights
from state.reward import parse_horizons, parse_rewards
from stream.faults import parse_fault_point
from stream.model_file import check_model_file

FOR_EVER: Final = -1
"""A retention that never ends, as Kafka writes it."""


def setting(default: Any, unit: str, description: str, **bounds: Any) -> Any:
    """A field with its unit; `bounds` as of pydantic's `Field` (`ge`, `gt`, `le`, `lt`)."""
    return Field(default=default, description=description, json_schema_extra={"unit": unit}, **bounds)


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _retention(seconds: int) -> int:
    if seconds == FOR_EVER or seconds > 0:
        return seconds
    message = "must be above 0, or -1 for ever"
    raise ValueError(message)


def _weights(text: object) -> object:
    """`name=weight` pairs, comma separated."""
    if not isinstance(text, str):
        return text
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        return tuple((name.strip(), float(weight or 1)) for name, _, weight in pairs)
    except ValueError:
        message = "must be names with weights, such as season=0.2,visual=0.1"
        raise ValueError(message) from None


def _source_weights(pairs: tuple[str, ...]) -> tuple[str, ...]:
    parse_weights(pairs)
    return pairs


def _input_formats(pairs: tuple[str, ...]) -> tuple[str, ...]:
    for pair in pairs:
        name, equals, kind = pair.partition("=")
        if not name.strip() or not equals:
            message = f"must be topics with formats, such as clicks=segment; {pair!r} is none"
            raise ValueError(message)
        if kind.strip() not in {OWN, *FRONTS}:
            message = f"names {kind.strip()!r}; formats are {', '.join((OWN, *FRONTS))}"
            raise ValueError(message)
    return pairs


def _rewards(text: str) -> str:
    parse_rewards(text)
    return text


def _horizons(text: str) -> str:
    parse_horizons(text)
    return text


def _fault_point(text: str | None) -> str | None:
    if text is not None:
        parse_fault_point(text)
    return text


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Weights = Annotated[tuple[tuple[str, float], ...], NoDecode, BeforeValidator(_weights)]
Retention = Annotated[int, AfterValidator(_retention)]
FaultPoint = Annotated[str | None, AfterValidator(_fault_point)]
SourceWeights = Annotated[CommaList, AfterValidator(_source_weights)]
Rewards = Annotated[str, AfterValidator(_rewards)]
Horizons = Annotated[str, AfterValidator(_horizons)]
InputFormats = Annotated[CommaList, AfterValidator(_input_formats)]
ModelFile = Annotated[Path | None, AfterValidator(check_model_file)]
