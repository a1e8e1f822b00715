"""`/openapi.json`: the calls of `stream/api/calls.py`, with the schemas that msgspec makes of their types."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream.api.calls import CALLS, COMMON, REASON_ENUM, Call, Parameter, ProblemTold, Said
from stream.api.problem import MEDIA_TYPE

_REFERENCE: Final = "#/components/schemas/{name}"
_INTRO: Final = (
    "Events in, slates out. docs/http.md has every call with an example, and what each answer promises."
)
_KEYED: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"key": []}]


async def get_openapi(request: Request) -> Response:
    """The document."""
    del request
    return Response(_encoded(), media_type="application/json")


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(_document())


def document() -> dict[str, Any]:
    """OpenAPI 3.1, as a client reads it."""
    made: dict[str, Any] = msgspec.json.decode(_encoded())
    return made


def _document() -> dict[str, Any]:
    types = _types()
    made, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = dict(zip(map(_name, types), made, strict=True))
    components["ProblemTold"]["properties"]["reason"] = REASON_ENUM
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Freshslate", "version": version("freshslate"), "description": _INTRO},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _types() -> list[Any]:
    """Every type of a body or an answer, once."""
    found: dict[str, Any] = {_name(ProblemTold): ProblemTold}
    for call in CALLS:
        for each in [*call.bodies.values(), *(said.body for said in call.answers.values())]:
            if each is not None:
                found[_name(each)] = each
    return list(found.values())


def _name(kind: Any) -> str:
    return repr(kind)


def _operation(call: Call, schemas: dict[str, Any]) -> dict[str, Any]:
    answers = {str(status): _answer(said, schemas) for status, said in call.answers.items()}
    problem = {"description": "A problem.", "content": {MEDIA_TYPE: {"schema": schemas[_name(ProblemTold)]}}}
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "description": f"{call.text} Right: `{call.right}`.".strip() if call.right else call.text,
        "parameters": [_parameter(each) for each in (*call.parameters, *COMMON)],
        "responses": {**answers, "default": problem},
        "security": _KEYED if call.right else [],
    }
    if call.bodies:
        content = {
            media: {"schema": {"type": "string"} if kind is None else schemas[_name(kind)]}
            for media, kind in call.bodies.items()
        }
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.is_needed,
        "description": parameter.text,
        "schema": parameter.schema,
    }


def _answer(said: Said, schemas: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": said.text}
    names = (*said.headers, "X-Request-Id")
    answer["headers"] = {name: {"schema": {"type": "string"}} for name in names}
    if said.body is not None:
        answer["content"] = {said.media: {"schema": schemas[_name(said.body)]}}
    elif said.media != "application/json":
        answer["content"] = {said.media: {"schema": {"type": "string"}}}
    return answer
