"""Parameters of the shared models in a TOML file: tuning writes it, workers load it.

The table `[model]` has fields of `ModelConfig` by name, as many as one likes; `[tuning]` says where they come
from, for people.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from state.errors import SetupError
from state.retrieval.config import ModelConfig

MODEL: Final = "model"
TUNING: Final = "tuning"


class ModelFileError(SetupError, ValueError):
    """A file of model parameters that cannot be used; says which line and why."""


def check_model_file(path: Path | None) -> Path | None:
    """The path itself, once its file is known to be good.

    Raises:
        ModelFileError: It is not.
    """
    if path is not None:
        read_model_file(path)
    return path


def read_model_file(path: Path) -> dict[str, Any]:
    """The parameters that a file names, checked.

    Raises:
        ModelFileError: There is no such file, it is no TOML, or a name or value in it is wrong.
    """
    try:
        text = path.read_text()
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        message = f"cannot be read: {reason}"
        raise ModelFileError(message) from None
    except tomllib.TOMLDecodeError as error:
        message = f"is no TOML: {error}"
        raise ModelFileError(message) from None
    unknown = [name for name in tables if name not in {MODEL, TUNING}]
    if unknown or not isinstance(tables.get(MODEL), dict):
        message = f"must hold a table [{MODEL}]" + (f", and not {unknown[0]}" if unknown else "")
        raise ModelFileError(message)
    values: dict[str, Any] = tables[MODEL]
    fields = ModelConfig.__struct_fields__
    for name in values:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1, cutoff=0.0)[0]
            raise ModelFileError(_at(text, name, f"there is no parameter {name}; did you mean {close}?"))
    try:
        msgspec.convert(values, ModelConfig)
    except msgspec.ValidationError as error:
        path = re.search(r"\$\.(\w+)", str(error))
        name = path[1] if path else str(error).split(maxsplit=1)[0]
        reason = str(error).removesuffix(f" - at `$.{name}`")
        raise ModelFileError(
            _at(text, name, reason if reason.startswith(name) else f"{name}: {reason}")
        ) from None
    return values


def write_model_file(path: Path, values: Mapping[str, Any], tuning: Mapping[str, object]) -> None:
    """Write parameters so that `read_model_file` reads them, and where they come from."""
    lines = [f"[{TUNING}]", *(f"{name} = {_toml(value)}" for name, value in tuning.items()), ""]
    lines += [f"[{MODEL}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    path.write_text("\n".join(lines) + "\n")


def _at(text: str, name: str, reason: str) -> str:
    """The reason, with the line of `text` that sets the parameter."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f"line {number}: {reason}"
    return reason


def _toml(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml(name)} = {_toml(each)}' for name, each in value.items())} }}"
    # JSON's strings and numbers are TOML's.
    return msgspec.json.encode(value).decode()
