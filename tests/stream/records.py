"""Raw records, stores and engines for tests of the runtime without a broker."""

import json
import random

from aiokafka.structs import ConsumerRecord

from state.event import EventRules
from state.models import Models
from state.policy.shares import Shares
from state.policy.softmax import Softmax
from state.recommend import Recommender, RecommendRules
from state.step import StepRules
from stream.transport import Chunk
from stream.work import Engine

T = 1_763_831_000_000
"""Time of the first record, epoch milliseconds."""
WRITER = "worker-under-test"


def record(value, offset=0, *, topic="events", partition=0, time=None, key=b"k", headers=()):
    """A record as aiokafka hands it over; a dict becomes JSON."""
    if isinstance(value, dict):
        value = json.dumps(value).encode()
    time = T + 1000 * offset if time is None else time
    size = -1 if value is None else len(value)
    return ConsumerRecord(topic, partition, offset, time, 0, key, value, None, -1, size, headers)


def click(user, item, **fields):
    """A click's wire form."""
    return {"type": "click", "user_id": user, "item_id": item, **fields}


def records(values, *, topic="events", partition=0, start=0, step=1):
    """Records of these values at offsets `start`, `start + step`, ..."""
    return [
        record(value, start + step * i, topic=topic, partition=partition) for i, value in enumerate(values)
    ]


def chunk(run, *, start=None, generation=1):
    """A chunk of these records, which starts at the first of them unless said otherwise."""
    first = run[0]
    return Chunk(first.topic, first.partition, first.offset if start is None else start, run, generation)


def shop_events(seed, count=120, users=9, items=14):
    """Wire events of a small shop: clicks, purchases, impressions, duplicates and rubbish."""
    draw = random.Random(seed)
    events = []
    for i in range(count):
        user, item = f"u{draw.randrange(users)}", f"i{draw.randrange(items)}"
        kind = draw.choices(["click", "purchase", "impression", "again", "bad"], [70, 10, 8, 8, 4])[0]
        good = [event for event in events if isinstance(event, dict)]
        if kind == "again" and good:
            events.append(draw.choice(good))
        elif kind == "bad":
            events.append(draw.choice([b"{", b"[]", None, b'{"type": "click"}']))
        else:
            kind = "click" if kind == "again" else kind
            events.append({"event_id": f"e{i}", "type": kind, "user_id": user, "item_id": item})
    return events


class DictStore(dict):
    """Encoded profiles by key in memory."""

    def get(self, keys):
        return [dict.get(self, key) for key in keys]

    def apply(self, result):
        """Take over a cycle's changelog rows."""
        self.update(result.changelog)


def engine(models=None, *, slots=5, candidates=20, writer=WRITER, events=None):
    """An engine over these models; it only reads them."""
    rules = RecommendRules(slots=slots, candidates=candidates)
    return Engine(
        decide=Recommender(models or Models(), Shares([(Softmax(), 1.0)], "test"), rules),
        events=events or EventRules(),
        step=StepRules(),
        writer=writer,
        version="9.9.9",
    )


def cuts(draw, total, most=40):
    """Where to cut a log of `total` records: random run lengths that sum to it."""
    lengths = []
    while total:
        lengths.append(min(total, draw.randint(1, most)))
        total -= lengths[-1]
    return lengths
