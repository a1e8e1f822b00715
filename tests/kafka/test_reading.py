"""Reading a topic from beginning to end."""

import asyncio
from pathlib import Path

from aiokafka import AIOKafkaProducer

from stream.reading import read_topic
from tests.kafka.harness import shop


async def test_all_committed_records_come_once_and_aborted_ones_never(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        topic = it.settings.slates_topic
        async with AIOKafkaProducer(bootstrap_servers=broker, transactional_id=prefix) as producer:
            for number in range(4):
                await producer.begin_transaction()
                sent = [
                    await producer.send(topic, b"%d-%d" % (number, n), key=b"u", partition=n % 3)
                    for n in range(100)
                ]
                await asyncio.gather(*sent)
                await (producer.abort_transaction() if number == 1 else producer.commit_transaction())
        found = [record async for record in read_topic(broker, topic)]
        assert len(found) == 300
        assert {(record.value or b"").split(b"-")[0] for record in found} == {b"0", b"2", b"3"}
        for partition in range(3):
            offsets = [record.offset for record in found if record.partition == partition]
            assert offsets == sorted(offsets)
        only = [record async for record in read_topic(broker, topic, partitions=[1])]
        assert {record.partition for record in only} == {1}
        assert len(only) == sum(record.partition == 1 for record in found)
        tail = [record async for record in read_topic(broker, topic, partitions=[1, 2], last=20)]
        assert [record for record in tail if record.partition == 1] == only[-len(tail) // 2 :]
        assert 30 <= len(tail) < 40  # the end of the last transaction has an offset too
        assert [record async for record in read_topic(broker, topic, last=10_000)] != []


async def test_an_empty_topic_ends_at_once(broker: str, prefix: str, tmp_path: Path) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        assert [record async for record in read_topic(broker, it.settings.rewards_topic)] == []


async def test_a_transaction_that_is_open_at_the_start_is_read_once_it_is_committed(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        topic = it.settings.slates_topic
        async with AIOKafkaProducer(bootstrap_servers=broker, transactional_id=prefix) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"late", key=b"u", partition=0)
            reading = asyncio.create_task(collect(broker, topic))
            # Committed only when the reader has been told where the topic ends, and waits.
            await asyncio.sleep(1)
            assert not reading.done()
            await producer.commit_transaction()
        assert await asyncio.wait_for(reading, 30) == [b"late"]


async def collect(broker: str, topic: str) -> list[bytes | None]:
    return [record.value async for record in read_topic(broker, topic)]
