"""What a user is shown who asks now."""

import pytest

from stream.api.problem import Problem
from stream.api.shown import check_started, popular_for, shown_to
from stream.api.user import User
from tests.stream.api.fakes import NOW, Api, slate_of


async def test_it_is_the_latest_slate_of_the_scenario_or_a_popular_one() -> None:
    api = Api()
    api.store.put("u1", slate_of("u1", number=7), NOW)
    kinds = [
        (await shown_to(api.context, User(user, "default"), scenario))[0]
        for user, scenario in (("u1", "feed"), ("u1", "cart"), ("u2", "feed"))
    ]
    assert kinds == ["own", "popular", "popular"]


async def test_before_all_is_read_nobody_gets_a_popular_slate() -> None:
    api = Api()
    api.store.put("u1", slate_of("u1", number=7), NOW)
    api.not_ready = "models are still being read"
    assert (await shown_to(api.context, User("u1", "default"), "feed"))[0] == "own"
    with pytest.raises(Problem, match="models are still being read") as refused:
        await popular_for(api.context, User("u2", "default"), "feed")
    assert (refused.value.status, refused.value.reason) == (503, "starting")
    assert refused.value.headers["Retry-After"]


async def test_a_process_that_ends_goes_on_answering() -> None:
    api = Api()
    api.not_ready = "the process ends"
    api.context.closing.set()
    check_started(api.context)
    assert (await popular_for(api.context, User("u2", "default"), "feed")).user_id == "u2"
