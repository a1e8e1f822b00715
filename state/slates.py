"""The slates of one run as a worker holds them: ready for the topic, no object per item.

A cycle decides hundreds of slates of ten items with four numbers each, and nobody in the worker looks at an
item: the topic wants bytes, the profile hashes and propensities, the metrics propensities.
"""

from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias, overload

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from state.event import HEARTBEAT_TENANT, Inbound
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE
from state.profile import OpenSlate, Profile, item_hash
from state.retrieval.arrays import Floats
from state.slate import SCHEMA_VERSION, Pool, Slate, SlateItem, SlateRules, Trigger

_ENCODER: Final = msgspec.json.Encoder()
_SLATE: Final = msgspec.json.Decoder(Slate)
_ITEMS: Final = msgspec.json.Decoder(tuple[SlateItem, ...])
_POOL: Final = msgspec.json.Decoder(Pool)
_NO_CONTEXT: Final = bytes(CONTEXT_SIZE)


Asked: TypeAlias = tuple[Profile, Inbound]
"""An event that asks for a slate, and its user's profile, which contains it."""


class WireSlate(Struct, frozen=True, gc=False):
    """A `Slate` whose items are JSON already; encoded, it is the same."""

    slate_id: str
    user_id: str
    tenant: str
    scenario: str
    time: int
    trigger: Trigger
    policy: str
    policy_version: str
    seed: int
    candidates: int
    candidates_hash: str
    items: msgspec.Raw
    slate_propensity: float | None = None
    schema_version: int = SCHEMA_VERSION
    ranker: str | UnsetType = UNSET
    feature_set: str | UnsetType = UNSET
    rules: SlateRules | UnsetType = UNSET
    pool: msgspec.Raw | UnsetType = UNSET


_WIRE: Final = msgspec.json.Decoder(WireSlate)


class Slates(Sequence[Slate]):
    """Slates in log order. Reading one as a `Slate` decodes it: for tests and tools.

    Args:
        wire: The slates [n].
        ends: [1 + n] end of each slate's items in the next two, after a 0.
        hashes: CRC-32 of the item ids, little-endian, of all slates.
        propensities: [items] of all slates.
        contexts: [items, `CONTEXT_SIZE`] what the policy saw of the items, for feedback to be learned from;
            zeros for the slates that keep none, no bytes where none does.
    """

    def __init__(
        self,
        wire: Sequence[WireSlate],
        ends: Sequence[int],
        hashes: bytes,
        propensities: Floats,
        contexts: bytes = b"",
    ) -> None:
        self.wire: Final = wire
        self.propensities: Final = propensities
        self._ends = ends
        self._hashes = hashes
        self._bytes = propensities.astype("<f4").tobytes()
        self._contexts = contexts

    @classmethod
    def of(cls, slates: Iterable[Slate]) -> "Slates":
        """These slates, such as were published."""
        given = list(slates)
        return cls._with_items([_wire(slate) for slate in given], [slate.items for slate in given])

    @classmethod
    def read(cls, values: Iterable[bytes]) -> "Slates":
        """Slates as they stand on the topic; encoded, they are the same bytes again.

        A `Slate` is not enough for that: JSON has several ways to write one id.

        Raises:
            msgspec.DecodeError: One of them is no slate.
        """
        wire = [_WIRE.decode(value) for value in values]
        return cls._with_items(wire, [_ITEMS.decode(each.items) for each in wire])

    @classmethod
    def _with_items(cls, wire: Sequence[WireSlate], items: Sequence[Sequence[SlateItem]]) -> "Slates":
        """These slates [n], whose items [n] were read; their contexts are in their pools."""
        flat = [item for each in items for item in each]
        pooled = any([slate.pool is not UNSET for slate in wire])
        return cls(
            wire,
            [0, *np.cumsum([len(each) for each in items]).tolist()],
            b"".join([item_hash(item.item_id) for item in flat]),
            np.array([item.propensity for item in flat], np.float32),
            b"".join(map(_pooled_contexts, wire, items)) if pooled else b"",
        )

    def opened(self, number: int) -> OpenSlate | None:
        """What the user's profile keeps of a slate; None of one without items, which awaits nothing."""
        start, end = 4 * self._ends[number], 4 * self._ends[number + 1]
        if start == end:
            return None
        wire = self.wire[number]
        return OpenSlate(
            wire.slate_id,
            wire.time,
            wire.scenario,
            wire.policy,
            wire.policy_version,
            self._hashes[start:end],
            self._bytes[start:end],
            b"",
            self._context(number) if self._contexts else b"",
        )

    def _context(self, number: int) -> bytes:
        """Contexts of a slate's items; no bytes where it keeps none."""
        start, end = self._ends[number], self._ends[number + 1]
        rows = self._contexts[CONTEXT_SIZE * start : CONTEXT_SIZE * end]
        return b"" if rows == bytes(len(rows)) else rows

    def propensities_by_policy(self) -> dict[str, Floats]:
        """Propensities of all items, by the policy that drew them."""
        policies = [slate.policy for slate in self.wire]
        names = set(policies)
        if len(names) == 1:
            return {names.pop(): self.propensities}
        drawn = np.repeat(policies, np.diff(self._ends))
        return {name: self.propensities[drawn == name] for name in names}

    def of_shoppers(self) -> "Slates":
        """All but those that answer heartbeats: mostly these very slates."""
        kept = [n for n, slate in enumerate(self.wire) if slate.tenant != HEARTBEAT_TENANT]
        if len(kept) == len(self.wire):
            return self
        sizes = np.diff(self._ends)
        flags = np.isin(np.repeat(np.arange(sizes.size), sizes), kept)
        hashes = np.frombuffer(self._hashes, "<u4")[flags].tobytes()
        contexts = np.frombuffer(self._contexts, f"V{CONTEXT_SIZE}")
        return Slates(
            [self.wire[n] for n in kept],
            [0, *np.cumsum(sizes[kept]).tolist()],
            hashes,
            self.propensities[flags],
            contexts[flags].tobytes() if self._contexts else b"",
        )

    def empty(self) -> list[WireSlate]:
        """The slates without items."""
        ends = self._ends
        return [slate for n, slate in enumerate(self.wire) if ends[n] == ends[n + 1]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Slates):
            return NotImplemented
        mine, its = ((each.wire, each._hashes, each._bytes) for each in (self, other))
        return mine == its

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up

    def __len__(self) -> int:
        return len(self.wire)

    @overload
    def __getitem__(self, index: int) -> Slate: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Slate]: ...

    def __getitem__(self, index: int | slice) -> Slate | Sequence[Slate]:
        if isinstance(index, slice):
            return [_SLATE.decode(_ENCODER.encode(wire)) for wire in self.wire[index]]
        return _SLATE.decode(_ENCODER.encode(self.wire[index]))


def _pooled_contexts(wire: WireSlate, items: Sequence[SlateItem]) -> bytes:
    """Contexts of a slate's items by its pool; zeros where it has none that this version knows."""
    if isinstance(wire.pool, UnsetType):
        return _NO_CONTEXT * len(items)
    pool = _POOL.decode(wire.pool)
    if pool.context_set != CONTEXT_SET:
        return _NO_CONTEXT * len(items)
    contexts = b64decode(pool.context)
    rows = {item_id: contexts[CONTEXT_SIZE * n :][:CONTEXT_SIZE] for n, item_id in enumerate(pool.items)}
    return b"".join([rows.get(item.item_id) or _NO_CONTEXT for item in items])


def _wire(slate: Slate) -> WireSlate:
    fields: dict[str, Any] = {name: getattr(slate, name) for name in slate.__struct_fields__}
    raw = {"items": msgspec.Raw(_ENCODER.encode(slate.items))}
    if slate.pool is not UNSET:
        raw["pool"] = msgspec.Raw(_ENCODER.encode(slate.pool))
    return WireSlate(**fields | raw)
