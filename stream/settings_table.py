"""All settings as rows, for people."""

from types import NoneType
from typing import NamedTuple

from pydantic import BaseModel

from stream.api_settings import ApiSettings
from stream.config import Settings
from stream.environment import env_name
from stream.operator_settings import OperatorSettings
from stream.security_settings import SecuritySettings


class SettingRow(NamedTuple):
    """One setting, for people."""

    env: str
    value: str
    default: str
    unit: str
    description: str


def settings_table(settings: Settings) -> list[SettingRow]:
    """One row per setting, in the order of the class; at the end those of the API, security and operators."""
    fields = sorted(Settings.model_fields.items(), key=lambda pair: _part(pair[0]))
    return [
        SettingRow(
            env_name(name),
            _shown(getattr(settings, name)),
            _shown(field.default),
            str((field.json_schema_extra or {}).get("unit", "")),  # type: ignore[union-attr]  # `setting` gives a dict
            _choices(field.annotation) + (field.description or ""),
        )
        for name, field in fields
    ]


def _part(name: str) -> int:
    """Where in the table: 0 first."""
    parts: tuple[type[BaseModel], ...] = (ApiSettings, SecuritySettings, OperatorSettings)
    return next((n for n, part in enumerate(parts, 1) if name in part.model_fields), 0)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, tuple):
        return str(value)
    return ",".join(each if isinstance(each, str) else "{}={:g}".format(*each) for each in value)


def _choices(annotation: object) -> str:
    if "Literal" not in str(annotation):
        return ""
    parts = [part for part in getattr(annotation, "__args__", ()) if part is not NoneType]
    # Of a setting that may be unset, the literal is one part of a union.
    names = [name for part in parts for name in getattr(part, "__args__", (part,))]
    return f"[{' | '.join(map(str, names))}] " if names else ""
