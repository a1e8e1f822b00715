"""The shared models of one worker: what everybody's clicks have taught it.

A fold over the topics `deltas` and `items`. Every worker folds all partitions of both, so a click handled
anywhere changes what is retrieved everywhere. The one mutable object of this package: a copy per batch would
cost more than the batch. Not thread-safe: neither two folds, nor a fold beside a retrieval, nor two
retrievals (they share work space).
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from state.catalogue import CatalogueItem
from state.categories import Categories
from state.event import TYPE_CODES
from state.interner import Interner, pack_strings, unpack_strings
from state.retrieval import content as described
from state.retrieval import hour as hourly
from state.retrieval import popularity as popular
from state.retrieval import rules as rule
from state.retrieval import sessions as neighbour
from state.retrieval.arrays import Bundle, Ints, Longs, check_layout, resized_bundle
from state.retrieval.blend import Query, retrieve
from state.retrieval.box import Box, pack
from state.retrieval.config import ModelConfig
from state.retrieval.features import features_of
from state.retrieval.fold import fold
from state.retrieval.lessons import Lessons, as_longs, lessons
from state.retrieval.rescale import rescale
from state.retrieval.weights import model_weights, new_scratch
from state.slate import Delta

SNAPSHOT_VERSION: Final = 2
FIRST_ROWS: Final = 1024
"""Rows of items and sessions to begin with."""

_NOTHING: Final = np.zeros(0, np.int32)
_NO_SESSION: Final = {0: -1}
_DIMENSIONS: Final = {
    "sessions": neighbour.DIMENSIONS,
    "rules": rule.DIMENSIONS,
    "popularity": popular.DIMENSIONS,
    "hours": hourly.DIMENSIONS,
    "content": described.DIMENSIONS,
}


class Models:
    """Item ids, session neighbours, rules, popularity and the catalogue.

    Attributes:
        config: Parameters; fixed.
        items: Item ids and their dense ids.
        pooled: The catalogue's categories by number; the nth has pool n + 1 of popularity.
        catalogue: The shop's items by id.
        categories: Their categories by dense id.
        sessions: Arrays of `state.retrieval.sessions`.
        rules: Arrays of `state.retrieval.rules`.
        popularity: Arrays of `state.retrieval.popularity`.
        hours: Arrays of `state.retrieval.hour`.
        content: Arrays of `state.retrieval.content`.
    """

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Final = config or ModelConfig()
        self.items = Interner()
        self.pooled = Interner()
        self.catalogue: dict[str, CatalogueItem] = {}
        self.categories: Final = Categories()
        self.sessions = neighbour.new_index(self.config)
        self.rules = rule.new_rules()
        self.popularity = popular.new_popularity(self.config)
        self.hours = hourly.new_hours(self.config)
        self.content = described.new_content(self.config)
        self._weights: Final = model_weights(self.config)
        self._scratch = new_scratch(self.config, 0, 0)
        self._box: Box | None = None
        self._origin: int | None = None
        self._sequence_of = dict(_NO_SESSION)
        self._session_keys: deque[int] = deque()
        self._next_sequence = 0
        self._untried: Ints | None = None

    @property
    def box(self) -> Box:
        """All arrays, for the kernels."""
        if self._box is None:
            self._box = pack(
                self.sessions,
                self.rules,
                self.popularity,
                self.hours,
                self.content,
                self._weights,
                self._scratch,
            )
        return self._box

    @property
    def n_items(self) -> int:
        """Items seen in deltas or in the catalogue."""
        return len(self.items)

    @property
    def n_sessions(self) -> int:
        """Sessions that can be neighbours."""
        return len(self._session_keys)

    @property
    def n_rules(self) -> int:
        """Rules kept: pairs of items, each direction for itself."""
        return int(self.rules.kept.sum())

    @property
    def item_ids(self) -> list[str]:
        """Item id by dense id; do not change it."""
        return self.items.strings

    def learn(self, deltas: Iterable[Delta]) -> None:
        """Fold deltas in the order given. Cheapest in large batches: one kernel call for all of them.

        Raises:
            ValueError: The arrays of a delta differ in length; nothing of the batch is folded.
        """
        found = lessons(deltas, self.items.ids, self._intern)
        if found.times.size:
            # Only now, when nothing can be refused any more: numbers given here must reach the index.
            self._fold(found, self._sequences(found.sessions))

    def upsert_item(self, item_id: str, item: CatalogueItem) -> None:
        """Add an item to the catalogue, or replace what it says.

        From the first one on, only items of the catalogue that are available are recommended.
        """
        if not self.catalogue:
            self.popularity.recommendable[:] = 0
            popular.refill(self.popularity)
        self.catalogue[item_id] = item
        dense, category = self._intern(item_id), self._category(item.category)
        self.categories.put(dense, item.category)
        popular.assign(self.popularity, dense, category)
        self._describe(dense, features_of(item, self.config.content_features))
        self._allow(dense, allowed=item.available)

    def withdraw_item(self, item_id: str) -> None:
        """Take an item out of the catalogue.

        When the last one goes, everything seen in events is recommendable again.
        """
        if self.catalogue.pop(item_id, None) is None:
            return
        dense = self._intern(item_id)
        self._allow(dense, allowed=False)
        self.categories.put(dense, None)
        popular.assign(self.popularity, dense, 0)
        self._describe(dense, ())
        if not self.catalogue:
            self.popularity.recommendable[: self.n_items] = 1
            popular.refill(self.popularity)
            self._untried = None

    def dense_ids(self, item_ids: Collection[str]) -> Ints:
        """Dense ids of the known ones, in order, each at its first place only."""
        if not item_ids:
            return _NOTHING
        ids = self.items.ids
        found = {dense: None for item_id in item_ids if (dense := ids.get(item_id)) is not None}
        return np.array(list(found), np.int32)

    def session_sequence(self, session_key: int) -> int:
        """Number of that session in the index, -1 where it is not in there."""
        return self._sequence_of.get(session_key, -1)

    def untried(self) -> Ints:
        """Recommendable items that nobody has turned to, for slates that the sources cannot fill.

        None where the pool of popular items is full: it fills any slate.
        """
        if self.popularity.counters[0] == self.popularity.pool.shape[1]:
            return _NOTHING
        if self._untried is None:
            self._untried = popular.untried(self.popularity)
        return self._untried

    def warm(self) -> None:
        """Compile every kernel, or load it from numba's cache. Leaves these models as they are."""
        models = Models(self.config)
        one = Delta(
            partition=0,
            spans=(),
            events=0,
            duplicates=0,
            dead_letters=0,
            slates=0,
            items=("a", "b"),
            item=(0, 1),
            session=(1, 1),
            time=(0, 1),
            type=(TYPE_CODES["click"],) * 2,
        )
        models.learn([one])
        models.upsert_item("a", CatalogueItem(item_id="a", category="a"))
        models.withdraw_item("a")
        retrieve(models, Query(session=("b",), history=("b",), now=1))

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Everything learned, as arrays of their own that later folds leave alone."""
        used = self._used()
        blob, ends = pack_strings(self.items.strings)
        arrays: dict[str, NDArray[Any]] = {
            "version": np.array([SNAPSHOT_VERSION], np.int64),
            "folded": np.frombuffer(self.config.folded().encode(), np.uint8).copy(),
            "clock": np.array([] if self._origin is None else [self._origin], np.int64),
            "item_ids": blob,
            "item_ends": ends,
            "categories": np.frombuffer(msgspec.msgpack.encode(self.pooled.strings), np.uint8).copy(),
            "session_keys": np.array(self._session_keys, np.int64),
            "catalogue": np.frombuffer(
                msgspec.msgpack.encode(list(self.catalogue.values())), np.uint8
            ).copy(),
        }
        for name, dimensions in _DIMENSIONS.items():
            bundle = resized_bundle(getattr(self, name), dimensions, used)
            for field, array in bundle._asdict().items():
                arrays[f"{name}.{field}"] = array if field in dimensions else array.copy()
        return arrays

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]], config: ModelConfig | None = None) -> "Models":
        """Models that go on where `snapshot` was taken.

        Raises:
            ValueError: The snapshot is of another version of this program, its arrays are of another type, or
                it was learned under other values of what `ModelConfig` calls folded.
        """
        version = int(arrays["version"][0]) if "version" in arrays else None
        if version != SNAPSHOT_VERSION:
            message = (
                f"snapshot has version {version}, this program reads {SNAPSHOT_VERSION}: "
                "delete the snapshot and let the worker read the deltas again"
            )
            raise ValueError(message)
        models = cls(config)
        folded = arrays["folded"].tobytes().decode()
        if folded != models.config.folded():
            message = (
                f"snapshot was learned with {folded}; now it is {models.config.folded()}: "
                "delete the snapshot and let the worker read the deltas again"
            )
            raise ValueError(message)
        models._load(arrays)
        return models

    def _load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.items = Interner(unpack_strings(arrays["item_ids"], arrays["item_ends"]))
        self.pooled = Interner(msgspec.msgpack.decode(arrays["categories"].tobytes(), type=list[str]))
        catalogue = msgspec.msgpack.decode(arrays["catalogue"].tobytes(), type=list[CatalogueItem])
        self.catalogue = {item.item_id: item for item in catalogue}
        for item in catalogue:
            self.categories.put(self.items.ids[item.item_id], item.category)
        self._origin = int(arrays["clock"][0]) if arrays["clock"].size else None
        for name in _DIMENSIONS:
            bundle = getattr(self, name)
            fields = {field: np.array(arrays[f"{name}.{field}"]) for field in bundle._fields}
            check_layout(name, fields, bundle._asdict())
            setattr(self, name, type(bundle)(**fields))
        self._next_sequence = int(self.sessions.counters[0])
        self._session_keys = deque(arrays["session_keys"].tolist())
        first = self._next_sequence - len(self._session_keys)
        self._sequence_of = _NO_SESSION | {key: first + i for i, key in enumerate(self._session_keys)}
        self._rescratch()

    def _intern(self, item_id: str) -> int:
        known = len(self.items)
        item = self.items.intern(item_id)
        if item == known:
            if known == self.popularity.score.size:
                self._grow("items", max(FIRST_ROWS, 2 * known))
            self.popularity.recommendable[item] = not self.catalogue
        return item

    def _sequences(self, session_keys: Sequence[int]) -> Longs:
        """Numbers of the sessions in the index; a new one for a new session, which may forget the oldest."""
        known, numbers = self._sequence_of, []
        for key in session_keys:
            number = known.get(key)
            if number is None:
                number = known[key] = self._next_sequence
                self._next_sequence += 1
                self._session_keys.append(key)
                if len(self._session_keys) > self.config.max_sessions:
                    del known[self._session_keys.popleft()]
            numbers.append(number)
        return as_longs(numbers)

    def _fold(self, found: Lessons, sequences: Longs) -> None:
        rows = min(self._next_sequence, self.config.max_sessions)
        if rows > self.sessions.size.size:
            self._grow("sessions", min(self.config.max_sessions, max(FIRST_ROWS, 2 * rows)))
        done = 0
        while done < found.times.size:
            origin = self._prepare(int(found.times[done]))
            done = fold(self.box, origin, found.items, sequences, found.times, found.types, done)

    def _prepare(self, time: int) -> int:
        """Make the arenas and the origin of time fit for an interaction at `time`; returns the origin."""
        for dimension, needed in self._room().items():
            if needed:
                self._grow(dimension, needed)
        if self._origin is None:
            self._origin = time
        if time - self._origin > self._weights.horizon:
            self._rescale(time)
        return self._origin

    def _room(self) -> dict[str, int]:
        """For each arena, the size it should grow to so that any interaction fits, or 0."""
        config = self.config
        needed = {}
        for name, entries, heap, one in (
            ("postings", self.sessions.postings, self.sessions.heap, config.postings),
            ("rules", self.rules.target, self.rules.heap, 2 * config.rule_steps * config.rule_targets),
            (
                "content",
                self.content.item,
                self.content.heap,
                config.content_features * config.content_listed,
            ),
        ):
            short = heap[0] + one > entries.size
            needed[name] = int(entries.size + entries.size // 2 + 2 * one) if short else 0
        return needed

    def _rescale(self, origin: int) -> None:
        """Count forward weights from a new origin of time."""
        passed = origin - (self._origin or 0)
        rescale(self._weights, passed, self.sessions, self.rules, self.popularity, self.hours)
        self._origin = origin

    def _category(self, name: str | None) -> int:
        """Number of a category, a new one for a new category; 0 for none, or where there are too many."""
        if name is None:
            return 0
        known = self.pooled.ids.get(name)
        if known is None:
            if len(self.pooled) == popular.MAX_CATEGORIES:
                return 0
            known = self.pooled.intern(name)
            if known + 1 == self.popularity.counters.size:
                self._grow("pools", 2 * (known + 1))
        return known + 1

    def _describe(self, item: int, features: tuple[int, ...]) -> None:
        if needed := self._room()["content"]:
            self._grow("content", needed)
        described.describe(self.content, self.config.content_listed, item, np.array(features, np.int32))

    def _allow(self, item: int, *, allowed: bool) -> None:
        if allowed:
            self.popularity.recommendable[item] = 1
            popular.offer(self.popularity, item)
        else:
            popular.withdraw(self.popularity, item)
        self._untried = None

    def _used(self) -> dict[str, int]:
        return {
            "items": self.n_items,
            "sessions": min(self._next_sequence, self.config.max_sessions),
            "postings": int(self.sessions.heap[0]),
            "rules": int(self.rules.heap[0]),
            "pools": len(self.pooled) + 1,
            "content": int(self.content.heap[0]),
        }

    def _grow(self, dimension: str, rows: int) -> None:
        """Give every array of that dimension so many rows."""
        for name, dimensions in _DIMENSIONS.items():
            setattr(self, name, _regrown(getattr(self, name), dimensions, dimension, rows))
        if dimension in {"items", "sessions"}:
            self._rescratch()
        self._box = None

    def _rescratch(self) -> None:
        self._scratch = new_scratch(self.config, self.popularity.score.size, self.sessions.size.size)
        self._box = None


def _regrown(bundle: Bundle, dimensions: Mapping[str, str], dimension: str, rows: int) -> Bundle:
    if dimension not in dimensions.values():
        return bundle
    return resized_bundle(bundle, dimensions, {dimension: rows})
