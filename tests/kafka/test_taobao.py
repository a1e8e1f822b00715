"""Two workers on a true stream of clicks and purchases, compared with one process, user by user."""

from pathlib import Path

import pytest

from stream.event_file import EventFile
from stream.replay import replay
from tests.kafka.harness import shop

STREAM = Path(__file__).parents[2].parent / "shared" / "data" / "taobao" / "stream_2h.csv.gz"
SLICE = 20_000


@pytest.mark.data
async def test_two_workers_give_every_profile_of_a_single_process_fold(
    broker: str, prefix: str, tmp_path: Path
) -> None:
    if not STREAM.exists():
        pytest.skip(f"NOT CHECKED: two workers against a single-process fold of Taobao; {STREAM} is absent")
    async with shop(broker, prefix, tmp_path) as it:
        it.start()
        it.start()
        await it.started()
        sent = await replay(it.settings, EventFile(STREAM, "taobao", limit=SLICE))
        assert sent.sent == SLICE
        assert sent.rejects == {}
        await it.settled(SLICE)
        report = await it.audit()
        assert report.is_clean, report
        assert report.slates == report.events == SLICE
        assert report.profiles_compared > 14_000
