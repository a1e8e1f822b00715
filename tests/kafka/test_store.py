"""Restore from a real changelog."""

from pathlib import Path

from aiokafka import AIOKafkaProducer

from stream.codecs import Marker, encode_marker
from stream.store import MARKER, Changelog, Memory, PartitionStore
from tests.kafka.harness import shop

MEMORY = Memory(cache_bytes=8 << 20, write_buffer_bytes=1 << 20)


async def test_stores_are_restored_from_the_changelog_and_then_only_from_its_tail(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        topic = it.settings.profiles_topic
        async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
            for n in range(5000):
                await producer.send(topic, b"%d" % n, key=b"u%d" % (n % 1700), partition=n % 2)
            await producer.send_and_wait(topic, encode_marker(41, "w"), key=MARKER + b"events", partition=1)
            changelog = Changelog(broker, topic)
            await changelog.start()
            stores = {p: PartitionStore(tmp_path / f"p{p}", MEMORY) for p in (0, 1)}
            assert await changelog.restore(stores) == 5001
            stores[1].restored(["events", "other"])
            assert stores[1].applied("events") == 41
            assert stores[1].applied("other") == -1
            assert stores[0].get([b"u0", b"u1"]) == [b"3400", None]
            assert stores[1].get([b"u1"]) == [b"3401"]
            await producer.send_and_wait(topic, b"new", key=b"u0", partition=0)
            assert await changelog.restore(stores) == 1
            assert stores[0].get([b"u0"]) == [b"new"]
            stores[0].apply([(b"u0", None)], {"events": Marker(7, "w")}, 2501)
            assert stores[0].get([b"u0"]) == [None]
            assert stores[0].applied("events") == 7
            await changelog.stop()
            for store in stores.values():
                store.close()
            again = PartitionStore(tmp_path / "p0", MEMORY)
            assert again.position == 2501
            assert len(dict(again.users())) == 849
            again.close()


async def test_a_copy_of_another_changelog_is_started_afresh(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    store = PartitionStore(tmp_path / "p0", MEMORY)
    store.apply([(b"u", b"1")], {}, 900)
    store.close()
    async with shop(broker, prefix, tmp_path) as it:
        changelog = Changelog(broker, it.settings.profiles_topic)
        await changelog.start()
        end = (await changelog.ends([0]))[0]
        await changelog.stop()
        store = PartitionStore.opened(tmp_path / "p0", MEMORY, changelog_end=end)
        assert store.get([b"u"]) == [None]
        assert store.position == 0
        store.close()
