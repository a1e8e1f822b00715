"""A user's partition is read from its beginning, from a time on, or from where the log begins by now."""

import json
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from stream.api.user import User
from stream.api.user_reader import SLACK_MS, UserReader
from stream.timeline import Happened
from tests.kafka.harness import Shop, shop

HOUR = 3_600_000
T = int(time.time() * 1000) - 8 * HOUR
"""Not long ago: the broker deletes what is older than the retention."""
NOBODY_LEARNS: dict[str, list[int]] = {"items": [], "item": [], "session": [], "time": [], "type": []}


async def write(it: Shop, hours: int) -> None:
    """An event an hour, of two users in turn, and deltas as a worker would write; no worker runs."""
    settings = it.settings
    (topic,) = settings.input_topics
    async with AIOKafkaProducer(bootstrap_servers=settings.broker) as producer:

        async def send(to: str, hour: int, key: str, fields: dict[str, Any]) -> None:
            at = {"key": key.encode(), "partition": 0, "timestamp_ms": T + hour * HOUR}
            await producer.send_and_wait(to, json.dumps(fields).encode(), **at)

        for hour in range(hours):
            user = "ada" if hour % 2 == 0 else "bob"
            event = {"type": "click", "user_id": user, "item_id": "i", "event_id": f"e{hour}"}
            await send(topic, hour, user, event)
            span = {"topic": topic, "first_offset": hour, "last_offset": hour}
            counts = {"partition": 0, "events": 1, "duplicates": 0, "dead_letters": 0, "slates": 0}
            await send(settings.deltas_topic, hour, "0", {**counts, "spans": [span], **NOBODY_LEARNS})
            await send(settings.rewards_topic, hour, user, {"hour": hour})


async def told(it: Shop, since: int | None) -> tuple[list[str], UserReader, bool]:
    """Ids of ada's events, the reader, and whether that is everything."""
    reader = UserReader(it.settings, User("ada", "default"), 0, since)
    begin = await reader.begin()
    timeline = reader.timeline(begin, lambda _profile, _slate: (), [])
    steps = [step async for step in reader.steps(timeline, begin)]
    ids = [step.event.event_id for step in steps if isinstance(step, Happened)]
    assert len(ids) == len(steps)
    return ids, reader, begin.is_all


async def test_what_is_read_begins_where_it_should(broker: str, prefix: str, tmp_path: Path) -> None:
    async with shop(broker, prefix, tmp_path, partitions=1) as it:
        await write(it, 6)
        ids, reader, is_all = await told(it, None)
        assert (ids, reader.read_from, is_all) == (["e0", "e2", "e4"], T, True)
        mine = [json.loads(each.value or b"") async for each in reader.mine(it.settings.rewards_topic)]
        assert [each["hour"] for each in mine] == [0, 2, 4]

        ids, reader, is_all = await told(it, T + 2 * HOUR)
        assert (ids, reader.read_from, is_all) == (["e2", "e4"], T + 2 * HOUR, False)
        mine = [json.loads(each.value or b"") async for each in reader.mine(it.settings.rewards_topic)]
        assert [each["hour"] for each in mine] == [2, 4]
        ids, reader, is_all = await told(it, T + 6 * HOUR + SLACK_MS)
        assert (ids, reader.read_from, is_all) == ([], None, False)

        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        place = TopicPartition(it.settings.input_topics[0], 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=3)})
        await admin.close()
        ids, reader, is_all = await told(it, None)
        assert (ids, reader.read_from, is_all) == (["e4"], T + 3 * HOUR, False)
