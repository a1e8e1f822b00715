"""Dead letters over HTTP, what is asked; with a broker: `tests/kafka/test_console.py`."""

import pytest

from tests.stream.api.fakes import Api


@pytest.mark.parametrize("path", ["/v1/dead-letters/redrive", "/v1/dead-letters/drop"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "wrong_parameter"),
        ({"ids": ["x"]}, "wrong_parameter"),
        ({"ids": ["1-2-3"]}, "wrong_parameter"),
        ({"reasons": ["nonsense"]}, "wrong_parameter"),
        ({"id": ["1-2"]}, "not_json"),
        ([], "not_json"),
    ],
)
async def test_nothing_is_done_unless_it_is_said_to_which(path: str, body: object, reason: str) -> None:
    async with Api().client() as http:
        answer = await http.post(path, json=body)
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)


async def test_a_form_of_another_page_is_refused() -> None:
    async with Api().client() as http:
        answer = await http.post(
            "/v1/dead-letters/drop", content='{"every": true}', headers={"Content-Type": "text/plain"}
        )
    assert answer.status_code == 415
