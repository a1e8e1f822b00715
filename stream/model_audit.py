"""Proves that the shared models of workers are a fold of their topics, up to the offsets they name.

The topics: `deltas`, `items` and `rewards`.

A worker's models are taken from its snapshot file. Partitions reach every worker in another order, and
that order decides dense ids, sequence numbers, which of equally popular items are in the pool, and the last
bits of sums. So this is compared, by item id and session key:

- exactly: the items, the catalogue, which items may be recommended, their categories and features, the
  sessions, each session's items in order and latest time, how many sessions hold an item, and between which
  items there are rules;
- within `TOLERANCE`, all counted from one origin of time: popularity, also by hour, weights of sessions and
  of rules; of the posterior, by scenario, each sum over exposures and rewards, matured or waiting.

Of the posterior exactly: the newest slate's time, the scenarios, and the rewards by type, hour and delay. Its
beliefs are a function of these.

Where a bound is reached, the order decides what is forgotten: with more than `FRESHSLATE_MAX_SESSIONS`
sessions neither sessions nor rules are compared, and the rules of an item with a full row, and the items of
an hour with one, are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from aiokafka import TopicPartition
from msgspec import Struct
from numpy.typing import NDArray

from state.errors import InvalidItem
from state.interner import unpack_strings
from state.models import Models
from state.posterior.posterior import Posterior
from state.posterior.sums import Sums
from state.retrieval.weights import model_weights
from stream.codecs import decode_delta, decode_item, decode_reward
from stream.config import Settings
from stream.connection import connection
from stream.followed import followed_topics, learning_config
from stream.reading import read_topic
from stream.replica import Replica
from stream.work import Record
from stream.worker import model_config

TOLERANCE: Final = 1e-3
"""Relative: a weight is a sum of up to millions of float32, in another order."""
FOLDED_AT_ONCE: Final = 1000
"""Deltas."""

Arrays = Mapping[str, NDArray[Any]]


class ModelReport(Struct, kw_only=True):
    """What a comparison of models found."""

    models_compared: int = 0
    models_different: int = 0
    sessions_compared: int = 0
    """Of all models together."""
    rules_compared: int = 0
    differences: list[str] = msgspec.field(default_factory=list)
    """A line each: the model, and what of it differs."""

    @property
    def is_clean(self) -> bool:
        """Whether all are equal."""
        return not self.models_different


class Content(NamedTuple):
    """What models hold, whatever the order in which partitions reached them."""

    items: frozenset[str]
    catalogue: bytes
    recommendable: frozenset[str]
    categories: dict[str, str]
    features: dict[str, tuple[int, ...]]
    popularity: dict[str, float]
    hours: dict[tuple[int, str], float]
    """Of hours whose row is not full."""
    sessions: dict[int, tuple[tuple[str, ...], int]]
    """By key: items, oldest first, and latest time. Empty where some were forgotten."""
    session_weights: dict[int, float]
    sessions_of: dict[str, int]
    rules: dict[tuple[str, str], float]
    """Of items whose row is not full."""


async def audit_models(settings: Settings, snapshots: Mapping[str, Path]) -> ModelReport:
    """Fold the topics again for each snapshot, up to its offsets, and compare.

    Args:
        settings: of the workers.
        snapshots: by the worker's name; a file that is not there was never written, and is left out.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    topics = followed_topics(settings)
    log = [record for topic in topics async for record in read_topic(connection(settings), topic)]
    report = ModelReport()
    for name, path in snapshots.items():
        if not path.exists():
            continue
        replica = Replica(
            connection(settings),
            topics=topics,
            config=model_config(settings),
            learning=learning_config(settings),
            snapshot=path,
            snapshot_seconds=0.0,
        )
        folded = fold(log, replica.offsets, settings)
        found, expected = content(replica.models), content(folded)
        report.models_compared += 1
        report.sessions_compared += len(expected.sessions)
        report.rules_compared += len(expected.rules)
        learned = fold_posterior(log, replica.offsets, settings)
        differing = differences(found, expected) + posterior_differences(replica.posterior, learned)
        if differing:
            report.models_different += 1
            report.differences += [f"{name}: {line}" for line in differing]
    return report


def fold(log: Sequence[Record], offsets: Mapping[TopicPartition, int], settings: Settings) -> Models:
    """Models that have learned all records below the offsets, partition by partition."""
    models = Models(model_config(settings))
    below = _below(log, offsets)
    deltas = [decode_delta(r.value or b"") for r in below if r.topic == settings.deltas_topic]
    for start in range(0, len(deltas), FOLDED_AT_ONCE):
        models.learn(deltas[start : start + FOLDED_AT_ONCE])
    for record in (r for r in below if r.topic == settings.items_topic):
        _fold_item(models, record)
    return models


def fold_posterior(
    log: Sequence[Record], offsets: Mapping[TopicPartition, int], settings: Settings
) -> Posterior:
    """A posterior that has learned all records below the offsets, first the exposures, then the rewards."""
    posterior = Posterior(learning_config(settings))
    below = _below(log, offsets)
    for some in _runs(below, settings.deltas_topic):
        posterior.learn([decode_delta(each.value or b"") for each in some], [r.timestamp for r in some])
    for some in _runs(below, settings.rewards_topic):
        posterior.reward([decode_reward(each.value or b"") for each in some], [r.timestamp for r in some])
    return posterior


def _runs(log: Sequence[Record], topic: str) -> Iterator[Sequence[Record]]:
    records = [record for record in log if record.topic == topic]
    for start in range(0, len(records), FOLDED_AT_ONCE):
        yield records[start : start + FOLDED_AT_ONCE]


def _below(log: Sequence[Record], offsets: Mapping[TopicPartition, int]) -> list[Record]:
    return [r for r in log if r.offset < offsets.get(TopicPartition(r.topic, r.partition), 0)]


def _fold_item(models: Models, record: Record) -> None:
    if record.value is None:
        models.withdraw_item((record.key or b"").decode(errors="replace"))
        return
    try:
        item = decode_item(record.key, record.value)
    except InvalidItem:
        return  # the worker leaves it out as well
    models.upsert_item(item.item_id, item)


def content(models: Models) -> Content:
    """What the models hold, by item id and session key, with weights that count from one origin of time."""
    arrays = models.snapshot()
    names = unpack_strings(arrays["item_ids"], arrays["item_ends"])
    weights = model_weights(models.config)
    keys = arrays["session_keys"].tolist()
    is_whole = int(arrays["sessions.counters"][0]) == len(keys)
    # The nth session is in the nth slot as long as none was forgotten.
    slots = range(len(keys) if is_whole else 0)
    sizes, rows = arrays["sessions.size"], arrays["sessions.rows"]
    session_factor = _factor(arrays, weights.sessions.decay)
    return Content(
        items=frozenset(names),
        catalogue=_catalogue(models),
        recommendable=frozenset(
            name for name, may in zip(names, arrays["popularity.recommendable"], strict=True) if may
        ),
        categories={
            name: models.pooled.strings[number - 1]
            for name, number in zip(names, arrays["popularity.category"].tolist(), strict=True)
            if number
        },
        features=dict(_features(arrays, names)),
        popularity=_by_name(names, arrays["popularity.score"] * _factor(arrays, weights.popularity.decay)),
        hours=dict(_hours(arrays, names, models)),
        sessions={
            key: (tuple(names[i] for i in rows[slot, : sizes[slot]]), int(arrays["sessions.time"][slot]))
            for key, slot in zip(keys, slots, strict=False)
        },
        session_weights={
            key: float(arrays["sessions.weight"][slot]) * session_factor
            for key, slot in zip(keys, slots, strict=False)
        },
        sessions_of=dict(zip(names, arrays["sessions.sessions_of"].tolist(), strict=True))
        if is_whole
        else {},
        rules=dict(_rules(arrays, names, models)) if is_whole else {},
    )


def differences(found: Content, expected: Content) -> list[str]:
    """What differs, a line each; empty where the contents are equal."""
    lines = []
    for name, ours, theirs in zip(Content._fields, found, expected, strict=True):
        is_same = _close(ours, theirs) if name in _WEIGHTS else ours == theirs
        if not is_same:
            lines.append(f"{name} differ: {_sizes(ours, theirs)}")
    return lines


def posterior_differences(found: Posterior, expected: Posterior) -> list[str]:
    """What of the posterior differs, a line each."""
    if found.newest != expected.newest:
        return [
            f"posterior: the newest slate is of {found.newest} in the worker, {expected.newest} in the fold"
        ]
    if set(found.scenarios) != set(expected.scenarios):
        return [f"posterior: scenarios {found.scenarios} in the worker, {expected.scenarios} in the fold"]
    ours, theirs = found.snapshot(), expected.snapshot()
    lines = []
    if not np.array_equal(ours["delays"], theirs["delays"]):
        lines.append("posterior: delays differ")
    for slot, name in enumerate(found.scenarios):
        other = expected.scenarios.index(name)
        for field in Sums._fields:
            first = ours[field].reshape(len(found.scenarios), -1)[slot]
            second = theirs[field].reshape(len(found.scenarios), -1)[other]
            if not np.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(second).max())):
                lines.append(f"posterior: {field} of {name or 'no'} scenario differ")
    return lines


_WEIGHTS: Final = frozenset({"popularity", "hours", "session_weights", "rules"})
_ORIGIN: Final = 1_700_000_000_000
"""Epoch milliseconds that all weights are counted from, here."""


def _factor(arrays: Arrays, decay: float) -> float:
    """Brings weights that count from the models' own origin of time to the common one, if there is any."""
    clock = arrays["clock"]
    return float(np.exp((clock[0] - _ORIGIN) / decay)) if clock.size else 1.0


def _by_name(names: Sequence[str], values: NDArray[Any]) -> dict[str, Any]:
    return dict(zip(names, values.tolist(), strict=True))


def _catalogue(models: Models) -> bytes:
    rows = [models.catalogue[item_id] for item_id in sorted(models.catalogue)]
    return msgspec.msgpack.encode(rows)


def _rules(arrays: Arrays, names: Sequence[str], models: Models) -> Iterator[tuple[tuple[str, str], float]]:
    factor = _factor(arrays, model_weights(models.config).rules.decay)
    targets, weights = arrays["rules.target"], arrays["rules.weight"]
    for item, name in enumerate(names):
        start, kept = int(arrays["rules.offset"][item]), int(arrays["rules.kept"][item])
        if kept < models.config.rule_targets:
            for entry in range(start, start + kept):
                yield (name, names[targets[entry]]), float(weights[entry]) * factor


def _features(arrays: Arrays, names: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, row, size in zip(names, arrays["content.features"], arrays["content.size"], strict=True):
        if size:
            yield name, tuple(row[:size].tolist())


def _hours(arrays: Arrays, names: Sequence[str], models: Models) -> Iterator[tuple[tuple[int, str], float]]:
    factor = _factor(arrays, model_weights(models.config).hours.decay)
    for hour, kept in enumerate(arrays["hours.kept"].tolist()):
        if kept < models.config.hour_room:
            for place in range(kept):
                name = names[arrays["hours.target"][hour, place]]
                yield (hour, name), float(arrays["hours.weight"][hour, place]) * factor


def _close(ours: Any, theirs: Any) -> bool:
    if ours.keys() != theirs.keys():
        return False
    first = np.fromiter(ours.values(), np.float64)
    second = np.fromiter((theirs[key] for key in ours), np.float64)
    return bool(np.allclose(first, second, rtol=TOLERANCE, atol=0.0))


def _sizes(ours: Any, theirs: Any) -> str:
    if isinstance(ours, dict):
        other = sum(ours.get(key) != value for key, value in theirs.items())
        return f"{len(ours)} in the worker, {len(theirs)} in the fold, {other} of these missing or other"
    return f"{len(ours)} in the worker, {len(theirs)} in the fold"
