"""A simulated shop as a file of events; on a broker it runs in `tests/kafka/test_simulate.py`."""

import io
from collections import Counter

from state.event import EventRules, Origin
from state.simulation.config import demo_config
from stream.codecs import decode_event
from stream.simulate import SimulateOptions, write_events

OPTIONS = SimulateOptions(demo_config(20.0), seed=3, seconds=20.0)


def written(options: SimulateOptions = OPTIONS) -> list[bytes]:
    file = io.BytesIO()
    count = write_events(options, file)
    lines = file.getvalue().splitlines()
    assert count == len(lines)
    return lines


def test_the_file_holds_events_that_the_engine_takes() -> None:
    lines = written()
    types = Counter()
    for offset, line in enumerate(lines):
        origin = Origin("events", 0, offset, 2_000_000_000_000)
        event = decode_event(line, origin, EventRules(max_age_ms=10**12))
        types[event.type] += 1
    assert types["click"] > 0
    assert types["impression"] > types["click"]
    assert types["view"] > 0


def test_progress_is_told_in_events_and_seconds() -> None:
    told: list[tuple[int, float]] = []
    count = write_events(OPTIONS, io.BytesIO(), on_progress=lambda *progress: told.append(progress))
    assert told[-1] == (count, 20.0)
    assert [seconds for _, seconds in told] == sorted(seconds for _, seconds in told)
