"""The formats that events come in beside our own, by name.

A front is a function of a decoded payload and its headers; it raises nothing, whatever it is given.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from state.fronts import cloudevents, ga4, personalize, segment, snowplow
from state.fronts.fields import LeftOut, Translated

__all__ = ["FRONTS", "OWN", "Front", "LeftOut", "Translated"]

Front: TypeAlias = Callable[[Any, Mapping[str, str]], Translated]
"""Turns a payload (decoded JSON) and its headers (names in lower case) into events of ours, in its order."""

OWN: Final = "freshslate"
"""Name of our own format, docs/events.md, which needs no front."""

FRONTS: Final[Mapping[str, Front]] = {
    "cloudevents": cloudevents.translate,
    "ga4": ga4.translate,
    "personalize": personalize.translate,
    "segment": segment.translate,
    "snowplow": snowplow.translate,
}
