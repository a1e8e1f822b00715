"""`GET /v1/live`."""

from stream.api.keys import Access, Keys, hash_of
from tests.stream.api.fakes import Api
from tests.stream.api.test_recent import reward, slates


async def test_it_tells_lines_policies_and_who_works() -> None:
    api = Api()
    api.recent.take_slates(slates(1, 2))
    api.recent.take_rewards([reward(1)])
    async with api.client() as http:
        told = (await http.get("/v1/live")).json()
        items = (await http.get("/v1/live/items?id=i1&id=x")).json()
        many = await http.get("/v1/live/items?" + "&".join(f"id=i{n}" for n in range(201)))
    assert many.json()["reason"] == "wrong_parameter"
    assert (told["group"], told["workers"], told["lag"]) == ("Stable", ["w a", "w b"], 7)
    assert told["partitions"][1] == {"topic": "events", "partition": 1, "owner": "w b", "lag": 7}
    assert told["policies"][0]["click_rate"]["share"] == 0.5
    assert items == {
        "i1": {"shown": 2, "rewards": 1, "reward": 1.0},
        "x": {"shown": 0, "rewards": 0, "reward": 0.0},
    }


async def test_it_is_for_admins_of_all_tenants() -> None:
    some = Access("shop", "*", frozenset({"events", "slates"}))
    keys = Keys({hash_of("s"): some, hash_of("t"): Access("one", "north", frozenset({"admin"}))}, "1")
    async with Api(keys=keys).client(X_Api_Key="t") as http:
        assert "of all tenants" in (await http.get("/v1/live")).json()["detail"]
    async with Api(keys=keys).client(X_Api_Key="s") as http:
        for path in ("/v1/live", "/v1/live/items?id=i", "/v1/policies", "/v1/dead-letters"):
            assert (await http.get(path)).json()["reason"] == "missing_right"
        for path in ("/v1/policies/judge", "/v1/dead-letters/redrive", "/v1/dead-letters/drop"):
            assert (await http.post(path, json={})).json()["reason"] == "missing_right"
