"""Calls and routes are the same, both ways."""

from stream.api.application import routes
from stream.api.calls import CALLS
from stream.api.guard import OPEN_PAGES
from stream.api.keys import RIGHTS
from stream.api.problem import REASONS
from tests.stream.api.fakes2 import ADMIN, PastApi, keys


def test_every_route_is_a_call_and_every_call_a_route() -> None:
    served = {
        (method, route.path.replace(":path}", "}"), route.endpoint.__name__)
        for route in routes()
        for method in route.methods - {"HEAD"}
    }
    assert {(call.method, call.path, call.name) for call in CALLS} == served
    assert len(CALLS) == len(served)


async def test_a_call_needs_the_right_that_it_says() -> None:
    for right in RIGHTS:
        api = PastApi(keys=keys())
        api.ring.keys = api.ring.keys._replace(
            by_hash={
                each: access._replace(rights={right}, tenant="*")
                for each, access in api.ring.keys.by_hash.items()
            }
        )
        async with api.client(**ADMIN) as http:
            for call in CALLS:
                if call.name == "stream_slates":
                    continue
                path = call.path.replace("{", "").replace("}", "")
                answer = await http.request(call.method, path, json={})
                is_allowed = not call.right or right in {call.right, "admin"}
                if call.name == "post_recommend":
                    is_allowed = right == "admin"  # the other half of it is `slates`
                assert (answer.status_code != 403) == is_allowed, (call.name, right, answer.text)


def test_only_open_pages_need_no_key() -> None:
    assert {call.path for call in CALLS if not call.right} == OPEN_PAGES
    assert {call.right for call in CALLS} - {""} == set(RIGHTS)


def test_parameters_of_the_path_are_those_in_it() -> None:
    for call in CALLS:
        named = {each.name for each in call.parameters if each.where == "path"}
        assert named == {part[1:-1] for part in call.path.split("/") if part.startswith("{")}
        assert all(each.is_needed for each in call.parameters if each.where == "path")


def test_statuses_are_those_of_answers_and_not_of_problems() -> None:
    assert all(status in {200, 202, 304, 422, 503} for call in CALLS for status in call.answers)
    assert {422, 503} <= set(REASONS.values())
