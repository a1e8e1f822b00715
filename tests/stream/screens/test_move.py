import io

from rich.console import Console

from stream.config import load_settings
from stream.move import Moved
from stream.screens.move import print_moved

TARGET = load_settings(topic_prefix="v2.", app_id="shop-v2", partitions=32, broker="kafka:9092")
MOVED = Moved(partitioner="murmur2", profiles=1_234, records={"slates": 5_678})


def printed(moved: Moved) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_moved(console, moved, TARGET)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_whole_move_tells_counts_and_the_environment_of_the_new_workers() -> None:
    told = printed(MOVED)
    assert "1,234 profiles, placed by murmur2" in told
    assert "5,678 records of slates" in told
    assert "the same, byte for byte" in told
    for line in ("TOPIC_PREFIX=v2.", "APP_ID=shop-v2", "PARTITIONS=32", "BROKER=kafka:9092"):
        assert f"  export FRESHSLATE_{line}\n" in told


def test_a_move_that_is_not_whole_says_to_start_nothing() -> None:
    moved = Moved(partitioner="crc32", profiles=1, profiles_different=2, records_missing=3)
    told = printed(moved)
    assert "NOT WHOLE: 2 profiles differ, 3 records are missing or came twice. Start no worker" in told
    assert "export" not in told
