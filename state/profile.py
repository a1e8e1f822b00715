"""What the engine keeps per user: one bounded, immutable value.

Encoded as a msgpack array (`stream/codecs.py`). Every field says its bound; a typical active user
stays below 1 KiB (`tests/state/test_profile.py` shows the distribution on real data).
"""

from collections.abc import Iterable
from struct import pack, unpack_from
from typing import Final
from zlib import crc32

from msgspec import Struct

from state.event import EVENT_TYPES
from state.shortest import as_double

PROFILE_VERSION: Final = 1
MAX_ITEMS: Final = 32
"""Most recent interactions kept."""
MAX_SEEN: Final = 16
"""Event ids remembered for dedupe: a duplicate comes from a producer that tries again, soon after."""
SEEN_BYTES: Final = 6
"""Bytes per remembered event id: 16 of 2**48 makes a false duplicate a 1e-13 event."""
MAX_OPEN_SLATES: Final = 3
"""Slates that await feedback with all their items."""
MAX_TOUCHED: Final = 8
"""Answered items of slates before those that still await feedback, a late purchase for the most part."""
MAX_BOUGHT: Final = 8
"""Rewarded purchases that a refund may take back."""
ITEM_HASH_BYTES: Final = 4
"""Bytes per item of an open slate: one false answer among 10 items in 4e8 events."""


class Bought(Struct, frozen=True, array_like=True, gc=False):
    """A purchase that earned a reward, for as long as a refund may take it back."""

    position: int
    """1-based, in the slate that holds this."""
    delay: int
    """Event time of the purchase minus time of the slate, milliseconds."""
    order: int
    """`order_hash` of its order; 0 where it told none."""
    reward: float
    """What it earned."""
    quantity: float
    """Pieces, above 0."""
    left: float
    """Pieces not refunded, [0, quantity]."""
    answer: str
    """The reward's id without the slate's id and the colon before it."""


class OpenSlate(Struct, frozen=True, array_like=True, gc=False):
    """A published slate that feedback may still answer.

    Item ids are kept as hashes: feedback brings the id, and the profile's size does not depend on how
    long a shop's ids are.
    """

    slate_id: str
    time: int
    scenario: str
    policy: str
    policy_version: str
    items: bytes
    """CRC-32 of the item ids, little-endian [n], in slate order: position is index + 1."""
    propensities: bytes
    """Little-endian float32 [n]."""
    seen: bytes = b""
    """Bit i of byte i // 8: the item at position i + 1 has been seen; no bytes: none."""
    context: bytes = b""
    """[n, `state.policy.context.CONTEXT_SIZE`] what a learning policy saw of the items; may be none."""
    answered: bytes = b""
    """Positions that earned a reward, a byte each, ascending."""
    bought: tuple[Bought, ...] = ()
    """Purchases of this slate's items, in log order; at most `MAX_BOUGHT` over all slates of a user."""

    def position_of(self, item_id: str) -> int | None:
        """1-based position of an item, or None if it was not in the slate."""
        return self.position_of_hash(item_hash(item_id))

    def position_of_hash(self, digest: bytes) -> int | None:
        """`position_of` by the item's hash."""
        at = self.items.find(digest)
        while at > 0 and at % ITEM_HASH_BYTES:  # a match across two neighbours is none
            at = self.items.find(digest, at + 1)
        return self.position_in_row(at // ITEM_HASH_BYTES) if at >= 0 else None

    def propensity_at(self, position: int) -> float:
        """Propensity of the item at a 1-based position of this slate, as the slate says it."""
        return as_double(unpack_from("<f", self.propensities, 4 * self.row_of(position))[0])

    def context_at(self, position: int) -> bytes:
        """Context of the item at a 1-based position; no bytes where none is kept."""
        size = len(self.context) * ITEM_HASH_BYTES // len(self.items)
        return self.context[size * self.row_of(position) :][:size]

    def row_of(self, position: int) -> int:
        """Row of `items`, `propensities` and `context` that is about this position."""
        return position - 1

    def position_in_row(self, row: int) -> int:
        """The position that a row is about."""
        return row + 1


class TouchedSlate(OpenSlate, frozen=True, array_like=True, gc=False):
    """What is left of a slate that is no longer open: its answered items.

    `items`, `propensities` and `context` have a row for each position of `answered`, and all of these were
    seen, so `seen` is empty.
    """

    def row_of(self, position: int) -> int:
        """Row of `items`, `propensities` and `context` that is about this position."""
        return self.answered.index(position)

    def position_in_row(self, row: int) -> int:
        """The position that a row is about."""
        return self.answered[row]


class Profile(Struct, frozen=True, array_like=True, gc=False):
    """One user's state. Times are epoch milliseconds unless said otherwise."""

    version: int = PROFILE_VERSION
    session_key: int = 0
    """Key of the current session in the shared models, below 2**53; 0 before the first activity."""
    session_id: str | None = None
    """The shop's own session id, where events carry one."""
    session_start: int = 0
    """Event time of the current session's earliest event."""
    last_time: int = 0
    """Latest event time of the shopper's activity, the user's watermark; before any, of a refund."""
    base: int = 0
    """What `times` count from."""
    items: tuple[str, ...] = ()
    """Item ids of the most recent positive interactions, oldest first; at most `MAX_ITEMS`."""
    times: tuple[int, ...] = ()
    """[len(items)] event time minus `base`, not decreasing; negative for what came late."""
    types: bytes = b""
    """[len(items)] type codes."""
    counts: tuple[int, ...] = (0,) * len(EVENT_TYPES)
    """Events so far by type code, duplicates left out."""
    seen: bytes = b""
    """Hashes of the latest event ids, oldest first; at most `MAX_SEEN` of `SEEN_BYTES`."""
    open_slates: tuple[OpenSlate, ...] = ()
    """Oldest first; at most `MAX_OPEN_SLATES`."""
    touched: tuple[TouchedSlate, ...] = ()
    """Oldest first; at most `MAX_TOUCHED` items together."""


NEW_PROFILE: Final = Profile()


def item_hash(item_id: str) -> bytes:
    """What an open slate remembers of an item id, [ITEM_HASH_BYTES] the same in every process."""
    return crc32(item_id.encode()).to_bytes(ITEM_HASH_BYTES, "little")


def item_hashes(item_ids: Iterable[str]) -> bytes:
    """`OpenSlate.items` of a slate's item ids."""
    hashes = [crc32(item_id.encode()) for item_id in item_ids]
    return pack(f"<{len(hashes)}I", *hashes)


def order_hash(order_id: str | None) -> int:
    """What a purchase is remembered by, [1, 2**32); 0 where no order is told."""
    return 0 if order_id is None else crc32(order_id.encode()) or 1
