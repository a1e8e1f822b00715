from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError

from stream.access import (
    GROUP,
    OPERATIONS,
    READ,
    ROLES,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    AccessDenied,
    Need,
    check_access,
    monitor_needs,
    worker_needs,
)
from stream.config import load_settings

NEEDS = [Need(TOPIC, "slates", WRITE), Need(TOPIC, "events", READ), Need(GROUP, "app", READ)]


class Admin:
    """An admin client of a broker with ACLs."""

    def __init__(self, topics: dict[str, tuple[int, int]], error: Exception | None = None) -> None:
        self._topics = topics
        self._error = error

    async def _send_request(self, request: Any) -> Any:
        rows = [(code, name, False, [], bits) for name, (code, bits) in self._topics.items()]
        return SimpleNamespace(topics=rows)

    async def find_coordinator(self, name: str, kind: int) -> int:
        if self._error is not None:
            raise self._error
        return 1


async def missing(admin: Admin) -> list[Need]:
    with pytest.raises(AccessDenied) as caught:
        await check_access(admin, NEEDS, "user me")
    assert "user me" in str(caught.value)
    assert "acls.py" in str(caught.value)
    return list(caught.value.missing)


async def test_what_the_broker_allows_is_compared_with_what_is_needed() -> None:
    read, write = 1 << OPERATIONS[READ], 1 << OPERATIONS[WRITE]
    await check_access(Admin({"slates": (0, write), "events": (0, read)}), NEEDS)
    assert await missing(Admin({"slates": (0, read), "events": (0, read | write)})) == NEEDS[:1]
    # A topic that may not be seen is answered with an error and no bits at all.
    assert await missing(Admin({"slates": (29, -(1 << 31)), "events": (0, read)})) == NEEDS[:1]


async def test_a_topic_that_is_missing_is_told_elsewhere() -> None:
    await check_access(Admin({"slates": (3, -(1 << 31)), "events": (3, 0)}), NEEDS)
    # Without an authoriser some brokers say nothing about it.
    await check_access(Admin({"slates": (0, -(1 << 31)), "events": (0, -(1 << 31))}), NEEDS)


async def test_a_group_that_may_not_be_seen_is_missing_and_one_that_has_no_coordinator_yet_is_not() -> None:
    every = {"slates": (0, -1), "events": (0, -1)}
    assert await missing(Admin(every, GroupAuthorizationFailedError())) == NEEDS[2:]
    await check_access(Admin(every, GroupCoordinatorNotAvailableError()), NEEDS)


def test_a_worker_needs_a_transactional_id_only_for_transactions_and_reads_slates_only_without() -> None:
    once = worker_needs(load_settings(app_id="shop"))
    least = worker_needs(load_settings(app_id="shop", processing_guarantee="at_least_once"))
    assert set(once) - set(least) == {Need(TRANSACTIONAL_ID, "shop-", WRITE, is_prefix=True)}
    assert set(least) - set(once) == {Need(TOPIC, "slates", READ)}


def test_every_need_names_topics_with_their_prefix_and_only_once() -> None:
    settings = load_settings(topic_prefix="eu.", app_id="shop")
    for role, needs in ROLES.items():
        found = needs(settings)
        assert len(set(found)) == len(found), role
        assert all(need.name.startswith("eu.") for need in found if need.kind == TOPIC), role
        assert {need.operation for need in found} <= OPERATIONS.keys()
    assert not any(need.operation == WRITE for need in monitor_needs(settings))
    assert str(Need(GROUP, "shop", READ)) == "Read on group shop"
    assert str(Need(TRANSACTIONAL_ID, "shop-", WRITE, is_prefix=True)) == "Write on transactional-id shop-*"


def test_a_refusal_to_nobody_says_so() -> None:
    assert "us, who are nobody to it," in str(AccessDenied("", NEEDS))
    with pytest.raises(AccessDenied, match="Write on topic slates"):
        raise AccessDenied("", NEEDS)
