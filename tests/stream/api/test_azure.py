"""Azure Personalizer's calls, by the field names of its own documentation."""

import pytest

from tests.stream.api.fakes import NOW, Api, slate_of

BASE = "/fronts/azure/personalizer/v1.0"
RANK = {
    "eventId": "call-1",
    "contextFeatures": [{"userId": "u1"}, {"timeOfDay": "morning"}],
    "actions": [
        {"id": "z", "features": [{"a": 1}]},
        {"id": "i2", "features": []},
        {"id": "x", "features": []},
    ],
    "excludedActions": ["x"],
}


async def test_a_rank_is_by_the_users_slate_and_its_reward_answers_that_slate() -> None:
    api = Api(epsilon=1e-6)
    api.store.put("u1", slate_of("u1", number=7), NOW)
    async with api.client() as http:
        ranked = await http.post(f"{BASE}/rank", json=RANK)
        again = await http.post(f"{BASE}/rank", json=RANK)
        reward = await http.post(f"{BASE}/events/call-1/reward", json={"value": 0.5})
        wrong = await http.post(f"{BASE}/events/call-1/reward", json={"value": "much"})
    told = ranked.json()
    assert (ranked.status_code, told["rewardActionId"], told["eventId"]) == (201, "i2", "call-1")
    probabilities = {each["id"]: each["probability"] for each in told["ranking"]}
    assert probabilities == {"i2": pytest.approx(1 - 5e-7), "z": pytest.approx(5e-7), "x": 0.0}
    assert again.json() == told
    assert (reward.status_code, reward.content) == (204, b"")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "BadRequest")
    shown, _, click = api.events()
    assert (shown["type"], shown["slate_id"]) == ("impression", "events-0-7")
    assert (click["type"], click["user_id"], click["slate_id"], click["value"]) == (
        "click",
        "u1",
        "events-0-7",
        0.5,
    )


async def test_a_deferred_call_shows_nothing_until_it_is_activated() -> None:
    api = Api()
    async with api.client() as http:
        ranked = await http.post(f"{BASE}/rank", json={**RANK, "eventId": None, "deferActivation": True})
        assert api.producer.sent == []
        event_id = ranked.json()["eventId"]
        activated = await http.post(f"{BASE}/events/{event_id}/activate")
        reward = await http.post(f"{BASE}/events/{event_id}/reward", json={"value": 0})
    assert (activated.status_code, reward.status_code) == (204, 204)
    assert [event["type"] for event in api.events()] == ["impression", "skip"]


async def test_an_unknown_call_and_a_wrong_one_are_errors_as_azure_has_them() -> None:
    async with Api().client() as http:
        unknown = await http.post(f"{BASE}/events/nothing/reward", json={"value": 1})
        empty = await http.post(f"{BASE}/rank", json={"actions": []})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert (empty.status_code, empty.json()["error"]["target"]) == (400, "actions")
