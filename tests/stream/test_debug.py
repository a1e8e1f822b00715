"""Over the loop, real stores and a log in memory."""

import json
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from stream.config import Settings
from stream.debug import is_allowed, partitions_page, user_page
from stream.inspection import partition_of
from stream.lag import Lag
from tests.stream.fakes import Rig
from tests.stream.records import click, records

TOKEN = "0123456789abcdef"
ALLOWED = f"Bearer {TOKEN}"
USER = next(f"u{n}" for n in range(99) if partition_of(f"u{n}", 8) == 3)


@pytest.fixture
async def rig(tmp_path):
    made = Rig(tmp_path)
    yield made
    await made.end()


def worker(rig):
    return SimpleNamespace(loop=rig.loop, partitions=rig.partitions)


def partitions(rig, lags=None):
    page = partitions_page(worker(rig), SimpleNamespace(lags=lags), rig.settings)
    assert page.status == 200
    return json.loads(page.body)


def asked(rig, user, authorization=ALLOWED, *, token=TOKEN, tenant="default"):
    page = user_page(
        worker(rig),
        Settings(http_token=token),
        user,
        tenant=tenant,
        authorization=authorization,
    )
    return page.status, json.loads(page.body)


async def test_a_worker_without_partitions_shows_none(rig):
    body = partitions(rig)
    assert (body["generation"], body["partitions"], body["queue_chunks"]) == (0, {}, 0)


async def test_a_partition_says_how_far_it_is_and_what_its_latest_transaction_was(rig):
    await rig.begin(0, 3, generation=7)
    await rig.put(records([click(USER, "a"), b"{"], partition=3), generation=7)
    await rig.idle()
    body = partitions(rig, {TopicPartition("events", 3): Lag(5, 2.5)})
    assert body["generation"] == 7
    assert list(body["partitions"]) == ["0", "3"]
    three = body["partitions"]["3"]
    assert (three["state"], three["applied"], three["queue_chunks"]) == ("open", {"events": 1}, 0)
    assert three["lag"] == {"events": {"records": 5, "seconds": 2.5}}
    latest = three["transaction"]
    assert (latest["records"], latest["cycle_records"], latest["cycle_partitions"]) == (2, 2, 1)
    assert {"decode", "read", "decide", "encode", "commit", "apply"} <= latest["seconds"].keys()
    assert body["partitions"]["0"] | {"applied": None} == {
        "state": "open",
        "restore_left": None,
        "applied": None,
        "lag": {},
        "queue_chunks": 0,
        "transaction": None,
    }
    assert body["partitions"]["0"]["applied"] == {"events": None}


async def test_what_waits_is_told_by_partition_and_what_is_restored_with_what_is_left(rig):
    await rig.loop.assigned((0, 1, 2), SimpleNamespace(generation=1))
    for partition in (1, 1, 2):
        await rig.put(records([click("u", "a")], partition=partition))
    rig.partitions._restoring = {1: SimpleNamespace(position=4)}, {1: 10}
    body = partitions(rig)
    assert {n: p["state"] for n, p in body["partitions"].items()} == {
        "0": "assigned",
        "1": "restoring",
        "2": "assigned",
    }
    assert body["partitions"]["1"]["restore_left"] == rig.partitions.restore_left == 6
    assert [body["partitions"][n]["queue_chunks"] for n in "012"] == [0, 2, 1]
    assert body["queue_chunks"] == 4  # and the wake-up call of the assignment
    rig.partitions._restoring = None


async def test_a_user_is_shown_to_who_has_the_token_alone(rig):
    await rig.begin(3)
    await rig.put(records([click(USER, "a"), click(USER, "b")], partition=3))
    await rig.idle()
    status, body = asked(rig, USER)
    assert (status, body["key"], body["partition"], body["expected_partition"]) == (200, USER, 3, 3)
    assert [item["item_id"] for item in body["profile"]["items"]] == ["a", "b"]
    assert body["profile"]["counts"] == {"click": 2}
    for wrong in ("", TOKEN, "Bearer ", f"Bearer {TOKEN}x", f"bearer {TOKEN}", "Bearer \u00e9"):
        status, body = asked(rig, USER, wrong)
        assert (status, list(body)) == (401, ["reason"])
    status, body = asked(rig, USER, token=None)
    assert status == 403
    assert "FRESHSLATE_HTTP_TOKEN" in body["reason"]


async def test_who_is_not_here_is_said_to_be_elsewhere_or_nowhere(rig):
    await rig.begin(0)
    status, body = asked(rig, USER)
    assert (status, body["partition"]) == (404, 3)
    assert "another worker has the partition" in body["reason"]
    here = next(f"u{n}" for n in range(99) if partition_of(f"u{n}", 8) == 0)
    status, body = asked(rig, here)
    assert (status, body["partition"]) == (404, 0)
    assert "knows nothing of the user" in body["reason"]


async def test_a_user_in_a_partition_of_the_shops_own_choice_is_found(rig):
    await rig.begin(1)
    await rig.put(records([{**click(USER, "a"), "tenant": "de"}], partition=1))
    await rig.idle()
    status, body = asked(rig, USER, tenant="de")
    assert (status, body["key"], body["partition"]) == (200, f"de|{USER}", 1)
    assert asked(rig, USER)[0] == 404


def test_only_the_very_token_is_let_in():
    assert is_allowed(TOKEN, ALLOWED)
    assert not is_allowed(TOKEN, ALLOWED[:-1])
