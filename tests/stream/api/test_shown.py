"""What a user is shown who asks now."""

from stream.api.shown import shown_to
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
