"""What endpoints ask of requests."""

import pytest
from starlette.requests import Request

from stream.api.context import User, allowed, json_body, limit_of, number_of, scenario_of, user_of
from stream.api.keys import EVERYTHING, Access
from stream.api.problem import Problem

SHOP = Access("shop", "north", frozenset({"slates"}))


def request(query: str = "", user: str = "u1", access: Access = SHOP, content_type: str = "") -> Request:
    headers = [(b"content-type", content_type.encode())] if content_type else []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": headers,
        "query_string": query.encode(),
        "path_params": {"user": user},
        "state": {"access": access},
    }
    return Request(scope)


def test_a_user_is_of_the_keys_tenant_or_of_the_one_that_is_named() -> None:
    assert user_of(request(), SHOP) == User("u1", "north")
    assert user_of(request("tenant=north"), SHOP).key == "north|u1"
    assert user_of(request(), EVERYTHING).key == "u1"
    assert user_of(request("tenant=south"), EVERYTHING).key == "south|u1"
    with pytest.raises(Problem, match="wrong_tenant"):
        user_of(request("tenant=south"), SHOP)


def test_numbers_are_read_within_their_bounds() -> None:
    assert number_of(request(), "wait", 30) is None
    assert number_of(request("wait=0.5"), "wait", 30) == 0.5
    assert limit_of(request("limit=3")) == 3
    assert limit_of(request()) is None
    for query in ("limit=0", "limit=1001", "limit=inf", "limit=nan", "limit=", "limit=2.5"):
        with pytest.raises(Problem, match="limit"):
            limit_of(request(query))


def test_a_scenario_is_one_of_ours() -> None:
    assert scenario_of(request()) == "feed"
    assert scenario_of(request("scenario=cart")) == "cart"
    with pytest.raises(Problem, match="moon"):
        scenario_of(request("scenario=moon"))


def test_a_right_is_there_or_not() -> None:
    assert allowed(request(), "slates") is SHOP
    with pytest.raises(Problem, match="shop"):
        allowed(request(), "events")


async def test_a_content_type_may_have_parameters_and_must_be_one_of_those_expected() -> None:
    for kind in ("", "text/csv", "application/jsonp"):
        with pytest.raises(Problem, match="Content-Type"):
            await json_body(request(content_type=kind))
