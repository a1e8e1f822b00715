"""A slate for a user who has none."""

import asyncio

import pytest

from state.profile import NEW_PROFILE
from stream.api.popular import Popular
from tests.stream.api.fakes import NOW, decide


async def test_it_is_decided_for_somebody_new_at_this_time() -> None:
    seen = []

    def watched(asked):
        seen.extend(asked)
        return decide(asked)

    slate = await Popular(watched, lambda: NOW)("u9", "north", "cart")
    ((profile, inbound),) = seen
    assert profile is NEW_PROFILE
    assert (inbound.event.user_id, inbound.event.tenant, inbound.event.scenario) == ("u9", "north", "cart")
    assert inbound.origin.time == NOW
    assert [item.item_id for item in slate.items] == ["p1", "p2"]


async def test_two_of_them_are_drawn_apart() -> None:
    seen = []

    def watched(asked):
        seen.extend(inbound.origin for _, inbound in asked)
        return decide(asked)

    popular = Popular(watched, lambda: NOW)
    await popular("u", "default", "feed")
    await popular("u", "default", "feed")
    assert len(set(seen)) == 2


async def test_a_scenario_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="moon"):
        await Popular(decide, lambda: NOW)("u", "default", "moon")


async def test_what_is_asked_for_at_once_is_decided_together_and_each_gets_its_own() -> None:
    sizes = []

    def watched(asked):
        sizes.append(len(asked))
        return decide(asked)

    popular = Popular(watched, lambda: NOW)
    for _ in range(2):
        slates = await asyncio.gather(*(popular(f"u{n}", "default", "cart") for n in range(5)))
        assert [slate.user_id for slate in slates] == [f"u{n}" for n in range(5)]
    assert sizes == [5, 5]


async def test_a_fault_reaches_all_who_asked_and_nobody_after_them() -> None:
    faults = [ValueError("no models")]

    def broken(asked):
        if faults:
            raise faults.pop()
        return decide(asked)

    popular = Popular(broken, lambda: NOW)
    asking = [popular("u", "default", "feed") for _ in range(2)]
    assert [type(each) for each in await asyncio.gather(*asking, return_exceptions=True)] == [ValueError] * 2
    assert (await popular("u", "default", "feed")).user_id == "u"


async def test_who_waits_no_more_keeps_nobody_from_a_slate() -> None:
    popular = Popular(decide, lambda: NOW)
    gone = asyncio.create_task(popular("gone", "default", "feed"))
    stays = asyncio.create_task(popular("stays", "default", "feed"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).user_id == "stays"
