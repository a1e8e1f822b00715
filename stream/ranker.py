"""Rankers as artefacts: how one is written, published to workers, and taken up by them.

An artefact is one line of JSON with the model card and a hash, and the arrays behind it; the same bytes in a
file and on the topic `rankers`, whose latest record is the ranker that serves. Every worker follows the topic
and takes up what comes between two cycles. What it cannot use it refuses, with the reason, and goes on with
the one it has. A record without a value puts the blend back in charge.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from msgspec import Raw, Struct
from numpy.typing import NDArray

from state.errors import FreshslateError
from state.ranking.features import FEATURE_SET, FEATURES, N_FEATURES
from state.ranking.ranker import Ranker
from state.ranking.trees import MOST_LEAVES, Trees
from stream.config import Settings
from stream.connection import arguments, connection
from stream.reading import read_topic

log = logging.getLogger(__name__)

FORMAT: Final = 1
KEY: Final = b"ranker"
PARTITION: Final = 0
"""Of the topic: the one that is used."""
VERSION_DIGITS: Final = 8
_POLL_MS: Final = 1000
_DTYPES: Final = ("<i4", "<i4", "<f4", "<u4", "<f8")
"""Of the arrays of `Trees`, in their order."""


class RankerRefused(FreshslateError):
    """An artefact that this program cannot serve with; the message says why."""


class ModelCard(Struct, frozen=True, kw_only=True):
    """Where a ranker comes from, and how good it is. Times are epoch milliseconds."""

    trained_at: int
    source: str
    """`decision log`, or the name of a file."""
    first_time: int | None = None
    """Of the first slate or interaction that was learned from; None where they have no times."""
    last_time: int | None = None
    lists: int
    """Slates, or steps of sessions, that were learned from."""
    rows: int
    """Candidates in them."""
    rewarded: int
    """Candidates that were worth something."""
    feature_set: str = FEATURE_SET
    features: tuple[str, ...] = FEATURES
    parameters: dict[str, float]
    metrics: dict[str, float]
    """Means over the lists of the last part, left out for it, beside those of the blend."""
    importance: dict[str, float]
    """Share of each feature in what the trees learned."""
    library: str
    program: str
    """Version of Freshslate that trained it."""


class Artefact(NamedTuple):
    """A ranker that can serve."""

    version: str
    """First 8 hex digits of the hash."""
    card: ModelCard
    trees: Trees


class _Header(Struct, frozen=True):
    """The first line; `card` is hashed as it stands."""

    freshslate_ranker: int
    sha256: str
    card: Raw


_HEADER: Final = msgspec.json.Decoder(_Header)
_CARD: Final = msgspec.json.Decoder(ModelCard)
_ARRAYS: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes, bytes, bytes])


def encode_ranker(card: ModelCard, trees: Trees) -> bytes:
    """An artefact's bytes."""
    text = msgspec.json.encode(card)
    parts: tuple[NDArray[Any], ...] = trees
    arrays = msgspec.msgpack.encode(
        [part.astype(dtype).tobytes() for part, dtype in zip(parts, _DTYPES, strict=True)]
    )
    header = _Header(FORMAT, sha256(text + arrays).hexdigest(), Raw(text))
    return msgspec.json.encode(header) + b"\n" + arrays


def decode_ranker(value: bytes) -> Artefact:
    """Read an artefact, and make sure that it is whole and fits this program.

    Raises:
        RankerRefused: It is damaged, of another format, or over other features.
    """
    line, _, arrays = value.partition(b"\n")
    try:
        header = _HEADER.decode(line)
        if header.freshslate_ranker != FORMAT:
            message = f"it has format {header.freshslate_ranker}, this Freshslate reads {FORMAT}"
            raise RankerRefused(message)
        digest = sha256(bytes(header.card) + arrays).hexdigest()
        if digest != header.sha256:
            message = f"it is damaged: its hash is {digest[:12]}…, and it says {header.sha256[:12]}…"
            raise RankerRefused(message)
        card = _CARD.decode(header.card)
        if card.feature_set != FEATURE_SET:
            message = f"its feature set is {card.feature_set}, this Freshslate has {FEATURE_SET}: train again"
            raise RankerRefused(message)
        blobs = _ARRAYS.decode(arrays)
        trees = _trees([np.frombuffer(blob, dtype) for blob, dtype in zip(blobs, _DTYPES, strict=True)])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        message = f"it is damaged: {error}"
        raise RankerRefused(message) from None
    return Artefact(digest[:VERSION_DIGITS], card, trees)


def ranker_of(artefact: Artefact) -> Ranker:
    """What serves with it."""
    return Ranker(artefact.trees, artefact.version)


async def publish_ranker(settings: Settings, artefact: bytes | None) -> None:
    """Let every worker serve with this artefact; None puts the blend back in charge.

    Raises:
        RankerRefused: Workers of this version would refuse it.
        aiokafka.errors.KafkaError: The broker does not take it.
    """
    if artefact is not None:
        decode_ranker(artefact)
    # The default of 1 MiB is a matter of the client; the topic takes more.
    producer = AIOKafkaProducer(
        **arguments(connection(settings)),
        enable_idempotence=True,
        max_request_size=2 * len(artefact or b"") + (1 << 20),
    )
    async with producer:
        await producer.send_and_wait(settings.rankers_topic, artefact, key=KEY, partition=PARTITION)


async def latest_ranker(settings: Settings) -> bytes | None:
    """The artefact that is published now; None for the blend alone.

    Raises:
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    value = None
    async for record in read_topic(connection(settings), settings.rankers_topic, partitions=(PARTITION,)):
        value = record.value
    return value


class RankerFollower:
    """Follows the topic `rankers`, and hands what can serve to `adopt`.

    Args:
        settings: Of the worker.
        adopt: Takes the ranker that serves from now on; None for the blend alone. Called in the event loop.
    """

    def __init__(self, settings: Settings, adopt: Callable[[Ranker | None], None]) -> None:
        self._settings = settings
        self._adopt = adopt
        self.caught_up = asyncio.Event()
        """Set once the topic was read to where it ended at the start."""
        self.artefact: Artefact | None = None
        """What serves."""
        self.refused = 0
        """Artefacts that could not be used, since the start."""

    async def run(self) -> None:
        """Follow the topic for ever."""
        place = TopicPartition(self._settings.rankers_topic, PARTITION)
        consumer = AIOKafkaConsumer(
            **arguments(connection(self._settings)),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=8 << 20,
            fetch_max_wait_ms=_POLL_MS,
        )
        async with consumer:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            await consumer.seek_to_beginning(place)
            latest: list[Any] = []
            while True:
                if not self.caught_up.is_set() and await consumer.position(place) >= end:
                    self._take(latest)
                    self.caught_up.set()
                records = (await consumer.getmany(place, timeout_ms=_POLL_MS)).get(place, [])
                if self.caught_up.is_set():
                    self._take(records)
                else:
                    latest += records

    def _take(self, records: Sequence[Any]) -> None:
        """Take up the latest of these that can serve; the ones before it are of the past."""
        for record in reversed(records):
            if record.value is None:
                if self.artefact is not None:
                    log.info("no ranker any more: the blend serves")
                self.artefact = None
                self._adopt(None)
                return
            try:
                artefact = decode_ranker(record.value)
            except RankerRefused as error:
                self.refused += 1
                serving = (
                    f"ranker {self.artefact.version}" if self.artefact else "the one before, or the blend"
                )
                log.warning(
                    "the ranker at offset %d is left out: %s; %s serves", record.offset, error, serving
                )
                continue
            self.artefact = artefact
            self._adopt(ranker_of(artefact))
            log.info("ranker %s serves, of %d lists", artefact.version, artefact.card.lists)
            return


def _trees(arrays: Sequence[NDArray[Any]]) -> Trees:
    """The arrays as they were, made sure of: a kernel checks no bounds.

    Raises:
        ValueError: They do not fit together.
    """
    ends, feature, threshold, mask, leaf = arrays
    nodes = feature.size
    if leaf.size != ends.size * MOST_LEAVES or not nodes == threshold.size == mask.size:
        message = "its arrays differ in length"
        raise ValueError(message)
    if nodes != (int(ends[-1]) if ends.size else 0) or (np.diff(ends, prepend=0) < 0).any():
        message = "its trees do not end where its nodes do"
        raise ValueError(message)
    if nodes and (feature.min() < 0 or feature.max() >= N_FEATURES):
        message = f"it looks at features beyond the {N_FEATURES} there are"
        raise ValueError(message)
    if not (np.isfinite(threshold).all() and np.isfinite(leaf).all()):
        message = "it has thresholds or leaves that are no numbers"
        raise ValueError(message)
    return Trees(
        ends.astype(np.int32),
        feature.astype(np.int32),
        threshold.astype(np.float32),
        mask.astype(np.uint32),
        leaf.astype(np.float64).reshape(-1, MOST_LEAVES),
    )
