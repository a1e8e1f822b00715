"""The HTTP API as a process of its own, beside a real worker on a real broker."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from stream.api.keys import new_key
from stream.broker import Broker
from tests.kafka.harness import api_of, click, read_json, shop


async def test_an_event_that_is_posted_is_answered_by_its_slate(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, api_port=0, partitions=2) as it:
        it.start()
        await it.started()
        async with api_of(it) as http:
            events = [click(f"u{n}", f"i{n % 7}") for n in range(40)]
            async with http.post("/v1/events", json=events) as answer:
                told = await answer.json()
                assert answer.status == 202, told
            assert told["accepted"] == 40
            assert len(set(told["event_ids"])) == 40
            await it.settled(40)
            fresh = click("u1", "i3", event_id="mine")
            async with http.post("/v1/recommend?wait=10", json=fresh) as answer:
                slate = await answer.json()
                assert answer.status == 200, slate
            assert slate["kind"] == "fresh"
            assert slate["trigger_event_id"] == "mine"
            assert slate["items"]
            async with http.get("/v1/slates/u1?limit=3") as answer:
                latest = await answer.json()
                etag = answer.headers["ETag"]
                assert int(answer.headers["X-Slate-Age-Ms"]) >= 0
            assert latest["slate_id"] == slate["slate_id"]
            assert latest["items"] == slate["items"][:3]
            async with http.get("/v1/slates/u1?limit=3", headers={"If-None-Match": etag}) as answer:
                assert answer.status == 304
            # The API's models learn some hundred milliseconds after the workers'.
            async with asyncio.timeout(30):
                while not (popular := await (await http.get("/v1/slates/nobody")).json())["items"]:
                    await asyncio.sleep(0.05)
            assert popular["kind"] == "popular"
            assert popular["slate_id"] is None
            assert all(0 < item["propensity"] <= 1 for item in popular["items"])
            async with http.get("/metrics") as answer:
                assert 'freshslate_api_slates_total{kind="fresh"} 1.0' in await answer.text()
        audit = await it.audit()
        assert audit.is_clean, audit


async def test_while_the_broker_hangs_nothing_is_accepted_and_what_was_accepted_is_there_once(
    prefix: str, tmp_path: Path
) -> None:
    with Broker.start(tmp_path / "kafka") as broker:
        async with shop(broker.address, prefix, tmp_path, api_port=0, partitions=2, api_ack_seconds=1) as it:
            it.start()
            await it.started()
            async with api_of(it) as http:
                accepted: list[str] = []
                os.kill(broker.pid, signal.SIGSTOP)
                try:
                    for n in range(3):
                        async with http.post(
                            "/v1/events", json=click(f"u{n}", "i1", event_id=f"e{n}")
                        ) as answer:
                            told = await answer.json()
                            assert (answer.status, told["accepted"]) == (503, 0)
                            assert answer.headers["Retry-After"]
                            assert [error["reason"] for error in told["errors"]] == ["not_written"]
                finally:
                    os.kill(broker.pid, signal.SIGCONT)
                deadline = time.monotonic() + 60
                while len(accepted) < 5 and time.monotonic() < deadline:
                    n = len(accepted)
                    async with http.post("/v1/events", json=click(f"u{n}", "i1", event_id=f"e{n}")) as answer:
                        accepted += [f"e{n}"] if answer.status == 202 else []
                assert accepted == [f"e{n}" for n in range(5)]
            events = await read_json(it, it.settings.input_topics[0])
            written = [event["event_id"] for event in events]
            assert set(written) == set(accepted)
            await it.settled(len(written))
            audit = await it.audit()
            assert audit.is_clean, audit
            # What was sent again counts once.
            slates = {slate["trigger"]["event_id"] for slate in await read_json(it, it.settings.slates_topic)}
            assert slates == set(accepted)
            assert audit.slates == len(accepted)


async def test_keys_are_followed_and_the_process_ends_in_order(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    first, second = (new_key(name, "north", ["events", "slates"]) for name in ("first", "second"))
    keys.write_text(first.entry)
    async with (
        shop(
            broker, prefix, tmp_path, api_port=0, api_host="0.0.0.0", partitions=2, api_keys_file=keys
        ) as it,
        api_of(it) as http,
    ):
        assert (await http.get("/v1/slates/u1")).status == 401
        mine = {"Authorization": f"Bearer {first.secret}"}
        assert (await http.get("/v1/slates/u1", headers=mine)).status == 200
        keys.write_text(second.entry)
        while (await http.get("/v1/slates/u1", headers=mine)).status != 401:
            await asyncio.sleep(0.2)
        mine = {"Authorization": f"Bearer {second.secret}"}
        stream = await http.get("/v1/stream/slates?user=u1", headers=mine)
        assert await stream.content.readline() == b"retry: 1000\n"
        (process,) = it.workers
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0, it.logs()
        await stream.content.read()  # the stream has an end
        assert "Traceback" not in it.logs()


async def test_boto3_and_the_clients_of_other_vendors_work_as_they_are(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, api_port=0, partitions=2) as it:
        it.start()
        await it.started()
        async with api_of(it) as http:
            front = f"{str(http._base_url).rstrip('/')}/fronts/personalize"
            known = {"region_name": "eu-west-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
            events, runtime = (
                boto3.client(name, endpoint_url=front, **known)
                for name in ("personalize-events", "personalize-runtime")
            )
            told: dict[str, Any] = {}
            sent = 0
            # The first slates are decided before there is anything to recommend.
            async with asyncio.timeout(60):
                while "recommendationId" not in told or not told["itemList"]:
                    event = {
                        "eventId": f"e{sent}",
                        "eventType": "click",
                        "itemId": f"i{sent % 4}",
                        "sentAt": time.time(),
                    }
                    await asyncio.to_thread(
                        events.put_events,
                        trackingId="t",
                        userId=f"u{sent % 3}",
                        sessionId="s",
                        eventList=[event],
                    )
                    sent += 1
                    await it.settled(sent)
                    told = await asyncio.to_thread(
                        runtime.get_recommendations, userId="u1", campaignArn="arn:x/feed"
                    )
            assert told["recommendationId"].startswith(it.settings.input_topics[0])
            ranked = await asyncio.to_thread(
                runtime.get_personalized_ranking, userId="u1", campaignArn="a", inputList=["z", "i1"]
            )
            assert {item["itemId"] for item in ranked["personalizedRanking"]} == {"z", "i1"}
            wrong = [{"eventId": "e", "eventType": "click", "sentAt": time.time()}]
            with pytest.raises(events.exceptions.InvalidInputException):
                await asyncio.to_thread(
                    events.put_events, trackingId="t", userId="u1", sessionId="s", eventList=wrong
                )
            rank = {
                "eventId": "c1",
                "contextFeatures": [{"userId": "u1"}],
                "actions": [{"id": "i1"}, {"id": "i2"}],
            }
            base = "/fronts/azure/personalizer/v1.0"
            async with http.post(f"{base}/rank", json=rank) as answer:
                assert (answer.status, (await answer.json())["eventId"]) == (201, "c1")
            assert (await http.post(f"{base}/events/c1/reward", json={"value": 1.0})).status == 204
            await it.settled(sent + 2)
        audit = await it.audit()
        assert audit.is_clean, audit
