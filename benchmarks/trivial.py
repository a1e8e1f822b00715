"""The trivial step: decode an event, count it for its user, answer with a fixed slate.

It has the signature of `stream.work.work`, in whose place it runs: what is left is the runtime.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from benchmarks.payloads import slate_value
from state.event import Event, Inbound, Origin
from state.slates import Slates
from state.step import Outcome
from stream.codecs import Marker, encode_marker
from stream.store import MARKER
from stream.work import NO_HEADERS, Engine, Laps, Profiles, Record, Result

_FIELDS: Final = msgspec.json.Decoder(dict[str, Any])
NOTHING: Final = Outcome({}, Slates.of(()), (), (), 0)
_COUNTED: Final = Event(event_id="", type="view", user_id="", time=0)
"""Stands for every event, so that the metrics count them."""


def work(
    partition: int,
    runs: Mapping[str, Sequence[Record]],
    profiles: Profiles,
    engine: Engine,
    *,
    clock: Callable[[], float] = float,
) -> Result:
    """Process what one cycle has for one partition; parameters as of `stream.work.work`."""
    started = clock()
    records = list(chain.from_iterable(runs.values()))
    events = [_FIELDS.decode(record.value or b"") for record in records]
    decoded_at = clock()
    counts = Counter([event["user_id"].encode() for event in events])
    known = profiles.get(list(counts))
    read_at = clock()
    changelog = [
        (key, b"%d" % (int(before or 0) + count))
        for (key, count), before in zip(counts.items(), known, strict=True)
    ]
    decided_at = clock()
    markers = {topic: Marker(run[-1].offset, engine.writer) for topic, run in runs.items()}
    changelog += [(MARKER + topic.encode(), encode_marker(*marker)) for topic, marker in markers.items()]
    slates = [
        (record.key, slate_value(event["event_id"]), NO_HEADERS)
        for record, event in zip(records, events, strict=True)
    ]
    counted = [Inbound(_COUNTED, Origin(topic, partition, 0, 0)) for topic in runs]
    return Result(
        changelog=changelog,
        markers=markers,
        slates=slates,
        rewards=(),
        deltas=(),
        dead_letters=(),
        inbounds=[each for each, run in zip(counted, runs.values(), strict=True) for _ in run],
        outcome=NOTHING,
        invalid={topic: bytes(len(run)) for topic, run in runs.items()},
        rejected=(),
        laps=Laps(decoded_at - started, read_at - decoded_at, decided_at - read_at, clock() - decided_at),
        last_error=None,
    )
