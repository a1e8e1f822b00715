import pytest

from state.errors import SetupError
from stream.config import load_settings
from stream.move import PARTITIONERS, Moved, java_partition, librdkafka_partition, move

KEYS = [b"", b"a", b"u1", b"shop|u-42", "\u00fc\u4e2d".encode(), bytes(range(256))]


@pytest.mark.parametrize("partitions", [1, 3, 8, 64])
def test_java_places_keys_as_the_library_of_the_producers_does(partitions: int) -> None:
    from aiokafka.partitioner import DefaultPartitioner

    choose, numbers = DefaultPartitioner(), list(range(partitions))
    assert [java_partition(key, partitions) for key in KEYS] == [
        choose(key, numbers, numbers) for key in KEYS
    ]


def test_known_places_of_both_partitioners() -> None:
    # CRC-32 of "123456789" is the check value of the algorithm, 0xCBF43926.
    assert librdkafka_partition(b"123456789", 1 << 32) == 0xCBF43926
    # From the tests of Kafka's own client (UtilsTest.testMurmur2): -973932308 and -790332482.
    assert java_partition(b"21", 1 << 31) == -973932308 & 0x7FFFFFFF
    assert java_partition(b"foobar", 1 << 31) == -790332482 & 0x7FFFFFFF
    assert set(PARTITIONERS) == {"murmur2", "crc32"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"app_id": "other"}, "the new topic_prefix must be another one than ''"),
        ({"topic_prefix": "v2."}, "the new app_id must be another one than 'freshslate'"),
    ],
)
async def test_a_move_to_the_same_names_is_refused_before_anything_is_asked(
    changes: dict[str, str], told: str
) -> None:
    settings = load_settings(broker="127.0.0.1:1")
    with pytest.raises(SetupError, match=told):
        await move(settings, load_settings(broker="127.0.0.1:1", **changes))


def test_a_move_is_whole_when_nothing_differs_and_nothing_is_missing() -> None:
    assert Moved(partitioner="murmur2").is_whole
    assert not Moved(partitioner="murmur2", profiles_different=1).is_whole
    assert not Moved(partitioner="murmur2", records_missing=1).is_whole
