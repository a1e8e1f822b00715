"""Which items of a slate a user has seen: each (slate, position) once, and as the log tells it.

An `impression` event says it itself. Where a shop sends none, a slate counts as seen once its user acts
after it: as far down as the deepest item that the act answers, else all of it. That what stands above a
clicked item was looked at, and little below it, is what eye tracking found (Joachims, Granka, Pan, Hembrooke
and Gay, "Accurately Interpreting Clickthrough Data as Implicit Feedback", SIGIR 2005). That a slate which was
not clicked was on the screen at all is an assumption: a shop that can send impressions should.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from state.policy.context import CONTEXT_SET, CONTEXT_SIZE
from state.profile import ITEM_HASH_BYTES, OpenSlate
from state.slate import Exposures

Exposing: TypeAlias = Literal["acted", "impressions"]
"""What exposes a slate: impressions and acts of the user, or impressions and feedback on the very item."""
Positions: TypeAlias = range | tuple[int, ...]
"""1-based positions of a slate's items."""
HOWS: Final = ("impression", "acted")
"""How an item was found to be seen: an impression said so, or what the user did."""
_NO_CONTEXT: Final = bytes(CONTEXT_SIZE)


class Exposed(Struct, frozen=True, gc=False):
    """Items of one slate that were not known to be seen before."""

    slate: OpenSlate
    positions: bytes
    """1-based, a byte each, ascending; never empty."""
    how: str
    """One of `HOWS`."""


def see(slate: OpenSlate, positions: Positions, how: str) -> tuple[OpenSlate, Exposed | None]:
    """The open slate with the items at these positions seen, and those that were not seen before, if any."""
    seen, new = _marked(slate.seen, size_of(slate), positions)
    if not new:
        return slate, None
    return replace(slate, seen=seen), Exposed(slate, new, how)


def see_in(
    slates: tuple[OpenSlate, ...], positions: Mapping[str, Positions], how: str
) -> tuple[tuple[OpenSlate, ...], Sequence[Exposed]]:
    """`see` in several open slates, with positions by slate id; ids of other slates are passed over."""
    if not positions:
        return slates, ()
    after: list[OpenSlate] = []
    exposed: list[Exposed] = []
    for slate in slates:
        its = positions.get(slate.slate_id)
        if its:
            slate, new = see(slate, its, how)  # noqa: PLW2901  # the same slate, further on
            if new is not None:
                exposed.append(new)
        after.append(slate)
    return tuple(after), exposed


def size_of(slate: OpenSlate) -> int:
    """Items of an open slate."""
    return len(slate.items) // ITEM_HASH_BYTES


def pack_exposures(exposed: Sequence[Exposed]) -> Exposures | UnsetType:
    """Exposures of a run as the delta carries them, in log order; unset where nothing was seen."""
    if not exposed:
        return UNSET
    slates = {each.slate.slate_id: each.slate for each in exposed}
    index = {slate_id: number for number, slate_id in enumerate(slates)}
    seen = slates.values()
    rows: list[int] = []
    for each in exposed:
        rows += [index[each.slate.slate_id]] * len(each.positions)
    contexts = _contexts(exposed) if any([slate.context for slate in seen]) else b""
    return Exposures(
        slates=tuple(slates),
        times=tuple([slate.time for slate in seen]),
        policies=tuple([f"{slate.policy}/{slate.policy_version}" for slate in seen]),
        slate=tuple(rows),
        position=tuple(b"".join([each.positions for each in exposed])),
        context=b64encode(contexts).decode(),
        context_set=CONTEXT_SET,
        scenarios=tuple([slate.scenario for slate in seen]),
    )


def _contexts(exposed: Sequence[Exposed]) -> bytes:
    """A row for each item; zeros for those of a slate that keeps no context."""
    return b"".join([_contexts_at(each.slate, each.positions) for each in exposed])


def _contexts_at(slate: OpenSlate, positions: bytes) -> bytes:
    if not slate.context:
        return _NO_CONTEXT * len(positions)
    return b"".join([slate.context_at(position) for position in positions])


@lru_cache(maxsize=4096)
def _marked(seen: bytes, size: int, positions: Positions) -> tuple[bytes, bytes]:
    """`OpenSlate.seen` of a slate of that size with these positions in it, and those that it had not."""
    before = int.from_bytes(seen, "little")
    new = sorted({position for position in positions if not before >> (position - 1) & 1})
    after = before
    for position in new:
        after |= 1 << (position - 1)
    return after.to_bytes((size + 7) // 8, "little"), bytes(new)
