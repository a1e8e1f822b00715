"""Policies and their judgement, what is asked; with a broker: `tests/kafka/test_console.py`."""

import pytest

from state.policy.context import CONTEXT
from tests.stream.api.fakes import Api
from tests.stream.api.test_recent import slates


async def test_what_is_believed_is_told_heaviest_weight_first() -> None:
    api = Api()
    api.recent.take_slates(slates(1))
    async with api.client() as http:
        told = (await http.get("/v1/policies")).json()
    assert [each["policy"] for each in told["policies"]] == ["softmax"]
    weights = told["beliefs"]["by_scenario"][""]["weights"]
    assert weights[0] == {"name": "blend", "mean": 1.0, "sd": pytest.approx(0.1)}
    assert {each["name"] for each in weights} == set(CONTEXT)


@pytest.mark.parametrize("policy", ["nonsense", "softmax:temperature=hot", "/etc/passwd.toml", "x.toml:a=1"])
async def test_a_policy_that_there_is_not_says_so_and_no_file_is_read(policy: str) -> None:
    async with Api().client() as http:
        answer = await http.post("/v1/policies/judge", json={"policy": policy})
    assert (answer.status_code, answer.json()["reason"]) == (400, "wrong_parameter")


async def test_a_body_that_names_none_says_what_to_send() -> None:
    async with Api().client() as http:
        answer = await http.post("/v1/policies/judge", json={"police": "greedy"})
    assert (answer.status_code, "greedy" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("positions", [0, -1, 1.5, "all"])
async def test_so_many_positions_as_there_cannot_be_are_refused(positions: object) -> None:
    async with Api().client() as http:
        asked = {"policy": "greedy", "positions": positions}
        answer = await http.post("/v1/policies/judge", json=asked)
    assert (answer.status_code, "positions" in answer.json()["detail"]) == (400, True)
