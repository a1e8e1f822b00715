"""The document of the API."""

import json

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from stream.api.openapi import document
from stream.api.problem import REASONS
from tests.stream.api.fakes import NOW, Api, slate_of
from tests.stream.api.fakes2 import PastApi, keys


def schema(name: str) -> jsonschema.Draft202012Validator:
    made = document()
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": made["components"]}
    )


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


async def test_it_is_served_without_a_key_and_without_anything_of_anybody() -> None:
    api = Api(keys=keys())
    async with api.client() as http:
        answer = await http.get("/openapi.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == document()


def test_every_operation_says_how_it_is_refused_and_names_are_unique() -> None:
    operations = [each for path in document()["paths"].values() for each in path.values()]
    assert all("application/problem+json" in each["responses"]["default"]["content"] for each in operations)
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)


def test_reasons_of_problems_are_all_of_them() -> None:
    (reason,) = [document()["components"]["schemas"]["ProblemTold"]["properties"]["reason"]]
    assert reason["enum"] == sorted(REASONS)


async def test_answers_are_what_it_says() -> None:
    api = PastApi()
    api.store.put("u1", slate_of(), NOW)
    click = {"type": "click", "user_id": "u1", "item_id": "i", "time": NOW}
    async with api.client() as http:
        told = {
            "EventsTold": await http.post("/v1/events", json=[click, {**click, "type": "wave"}]),
            "Answer": await http.get("/v1/slates/u1"),
            "ItemsTold": await http.post("/v1/items", json=[{"item_id": "a"}, {}]),
            "UserTimeline": await http.get("/v1/users/u1/timeline"),
            "SlateWhy": await http.get("/v1/slates/events-0-1/why"),
            "Forgotten": await http.delete("/v1/users/u1"),
            "ProblemTold": await http.get("/v1/nothing"),
            "Readiness": await http.get("/readyz"),
            "Health": await http.get("/healthz"),
        }
    for name, answer in told.items():
        schema(name).validate(answer.json())
        with pytest.raises(jsonschema.ValidationError):
            schema(name).validate({})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("PostedEvent", {"type": "click", "user_id": 7, "time": "2026-01-01", "mine": [1]}, {"items": 5}),
        ("PostedItem", {"item_id": "a", "price": 1.5, "color": "red"}, {"price": "1"}),
    ],
)
def test_bodies_are_what_it_says(name: str, good: dict, bad: dict) -> None:
    schema(name).validate(json.loads(json.dumps(good)))
    with pytest.raises(jsonschema.ValidationError):
        schema(name).validate(bad)
