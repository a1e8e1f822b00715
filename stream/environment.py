"""The environment variables of Freshslate: their names, and what is wrong with them in plain words."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from state.errors import SetupError

PREFIX: Final = "FRESHSLATE_"

MESSAGES: Final = {
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "literal_error": "is not one of {expected}",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} characters",
    "value_error": "{error}",
    "extra_forbidden": "there is no such setting",
}
"""Plain words for pydantic's error types, filled from its error context."""


SECRETS: Final = frozenset({"http_token", "kafka_key_password", "kafka_sasl_password"})
"""Settings whose values are never shown."""


class ConfigError(SetupError):
    """Settings that are misspelt, wrong or do not fit each other.

    Args:
        problems: One line each, beginning with the variable's name.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join((*self.problems, "`freshslate settings` lists every setting.")))


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def service_links(environ: Mapping[str, str]) -> set[str]:
    """Variables that Kubernetes adds for every Service whose name begins with "freshslate".

    A Service `freshslate-worker` sets `FRESHSLATE_WORKER_PORT=tcp://...`, which is not our setting
    (kubernetes.io/docs/concepts/services-networking/service, "Environment variables").
    """
    services = [name.removesuffix("_SERVICE_HOST") for name in environ if name.endswith("_SERVICE_HOST")]
    pattern = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?")
    return {
        name
        for name, value in environ.items()
        for service in services
        if name.startswith(service)
        and pattern.fullmatch(name[len(service) :])
        # A bare _PORT may be ours: only Kubernetes writes a URL there.
        and (name != f"{service}_PORT" or "://" in value)
    }


def unknown_names(environ: Mapping[str, str], known: Iterable[str]) -> Iterator[str]:
    """One line for every `FRESHSLATE_*` variable that is none of `known`, with the closest name."""
    known = set(known)
    links = service_links(environ)
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name.upper() in known or name in links:
            continue
        close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
        yield f"{name}: there is no such setting; did you mean {close[0]}?"


def problems(error: ValidationError) -> Iterator[str]:
    """One line for every wrong value, beginning with the variable's name."""
    for found in error.errors():
        context = {name: _short(value) for name, value in found.get("ctx", {}).items()}
        told = MESSAGES.get(found["type"], found["msg"]).format(**context)
        if found["loc"]:
            name = str(found["loc"][0])
            # What was given for a secret must not be told, right or wrong.
            given = "what was given" if name in SECRETS else repr(found["input"])
            yield f"{env_name(name)}: {given} {told}"
        else:
            yield from told.splitlines()


def _short(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
