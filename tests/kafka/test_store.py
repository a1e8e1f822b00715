"""Restore from a real changelog, and what becomes of faults of the local disk."""

import asyncio
import resource
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.codecs import Marker, encode_marker
from stream.reading import read_topic
from stream.store import MARKER, Changelog, Memory, PartitionStore
from tests.kafka.harness import PARTITIONS, Shop, clicks, send, shop

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


async def test_what_was_aborted_is_not_restored_nor_what_is_still_open(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        topic = it.settings.profiles_topic
        changelog = Changelog(broker, topic)
        async with AIOKafkaProducer(bootstrap_servers=broker, transactional_id=f"{prefix}w") as producer:
            for n in range(20):
                await producer.begin_transaction()
                await producer.send(topic, b"%d" % n, key=b"u", partition=0)
                await producer.send(topic, b"%d" % n, key=b"only %d" % n, partition=0)
                await (producer.abort_transaction() if n % 2 else producer.commit_transaction())
            await changelog.start()
            store = PartitionStore(tmp_path / "p0", MEMORY)
            assert await changelog.restore({0: store}) == 20
            assert dict(store.users()) == {b"u": b"18"} | {b"only %d" % n: b"%d" % n for n in range(0, 20, 2)}
            assert store.position == (await changelog.ends([0]))[0]  # beyond the last control record
            await changelog.stop()
            store.close()


async def compacted(it: Shop, topic: str, cleaned: int) -> None:
    """Write on until the broker's cleaner has left no more than so many records of the first partition."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        for n in range(200):
            await producer.send_and_wait(topic, b"%d" % n, key=b"last", partition=0)
            if n % 10 == 0 and len([1 async for _ in read_topic(it.settings.broker, topic)]) < cleaned:
                return
            await asyncio.sleep(0.1)
    pytest.fail("the cleaner did not run")


async def test_an_older_copy_is_brought_up_to_date_though_the_changelog_was_compacted_since(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        topic = f"{prefix}compacted"
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        configs = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=configs)])
        await admin.close()
        changelog = Changelog(broker, topic)
        await changelog.start()
        store = PartitionStore(tmp_path / "p0", MEMORY)
        async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
            for n in range(300):
                await producer.send(topic, b"%d" % n, key=b"u%d" % (n % 100), partition=0)
            await producer.flush()
            await changelog.restore({0: store})
            store.close()
            for n in range(300, 2000):
                value = None if n % 100 == 7 else b"%d" % n
                await producer.send(topic, value, key=b"u%d" % (n % 100), partition=0)
            await producer.flush()
        await compacted(it, topic, 1000)
        older = PartitionStore(tmp_path / "p0", MEMORY)
        assert older.position == 300
        assert await changelog.restore({0: older}) < 1700  # fewer than were written since
        fresh = PartitionStore(tmp_path / "fresh", MEMORY)
        await changelog.restore({0: fresh})
        assert dict(older.users()) == dict(fresh.users())
        assert older.get([b"u7", b"u8"]) == [None, b"1908"]
        await changelog.stop()
        older.close()
        fresh.close()


def everybody(count: int = 300) -> list[dict[str, str]]:
    """A click of every user that `clicks` knows: all of the state is read and written."""
    return [
        {"type": "click", "event_id": f"all-{n}", "user_id": f"u{n}", "item_id": "i1"} for n in range(count)
    ]


async def test_a_broken_block_ends_the_assignment_and_the_state_is_rebuilt(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path) as it:
        worker = it.start()
        await it.started()
        sent = await send(it, clicks(3_000))
        await it.settled(sent)
        worker.terminate()
        await asyncio.to_thread(worker.wait)
        own = it.settings.data_dir / it.settings.app_id / "worker-0"
        tables = list(own.glob("p*/*.sst"))
        assert len(tables) >= PARTITIONS
        for table in tables:
            content = bytearray(table.read_bytes())
            content[len(content) // 2] ^= 0xFF
            table.write_bytes(content)
        again = it.start()
        await it.started()
        sent += await send(it, everybody())
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == sent
        assert again.poll() is None
        assert "assignment ended: DamagedCopy: the local copy" in it.log(again)
        assert "block checksum mismatch" in it.log(again)


async def test_a_full_disk_stops_the_worker_and_with_room_it_goes_on(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    async with shop(broker, prefix, tmp_path, rocksdb_write_buffer_bytes=1 << 16) as it:
        worker = it.start()
        await it.started()
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (24_576, 24_576))
        sent = 0
        # RocksDB writes in the background, and tells whoever writes next.
        while worker.poll() is None:
            assert sent < 80_000, it.logs()
            sent += await send(it, clicks(2_000, users=6_000, seed=sent), rate=4_000)
        assert worker.returncode == 1
        last = it.log(worker).strip().splitlines()[-1]
        for part in ("freshslate: the disk does not keep", str(it.settings.data_dir), "FRESHSLATE_DATA_DIR"):
            assert part in last
        again = it.start()
        await it.settled(sent)
        report = await it.audit()
        assert report.is_clean, report
        assert report.records == sent
        assert again.poll() is None
