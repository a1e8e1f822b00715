"""A slate for a user who has none."""

import pytest

from state.profile import NEW_PROFILE
from stream.api.popular import Popular
from tests.stream.api.fakes import NOW, decide


def test_it_is_decided_for_somebody_new_at_this_time() -> None:
    seen = []

    def watched(asked):
        seen.extend(asked)
        return decide(asked)

    slate = Popular(watched, lambda: NOW)("u9", "north", "cart")
    ((profile, inbound),) = seen
    assert profile is NEW_PROFILE
    assert (inbound.event.user_id, inbound.event.tenant, inbound.event.scenario) == ("u9", "north", "cart")
    assert inbound.origin.time == NOW
    assert [item.item_id for item in slate.items] == ["p1", "p2"]


def test_two_of_them_are_drawn_apart() -> None:
    seen = []

    def watched(asked):
        seen.extend(inbound.origin for _, inbound in asked)
        return decide(asked)

    popular = Popular(watched, lambda: NOW)
    popular("u", "default", "feed")
    popular("u", "default", "feed")
    assert len(set(seen)) == 2


def test_a_scenario_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="moon"):
        Popular(decide, lambda: NOW)("u", "default", "moon")
