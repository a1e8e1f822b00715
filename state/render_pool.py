"""The candidates of slates as JSON (`state.slate.Pool`), so that another policy can choose again."""

from typing import Final

import numpy as np
from msgspec import UNSET, Raw, UnsetType

from state.interner import Written, pack_strings
from state.kernel import kernel, kernel_part
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE, Contexts
from state.render import put_text
from state.retrieval.arrays import Floats, Ints, Longs
from state.retrieval.blend import Ranked
from state.shortest import LONGEST, Buffer, write_number

_PIECES, _PIECE_ENDS = pack_strings(
    ["", '{"items":[', '],"scores":[', '],"context":"', f'","context_set":"{CONTEXT_SET}"}}']
)
_ITEMS, _SCORES, _CONTEXT, _END = range(1, 5)
_QUOTE, _COMMA, _PADDING = (np.uint8(ord(sign)) for sign in '",=')
_DIGITS: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
_BYTES: Final = int(_PIECES.size)
"""Of a pool without candidates."""
_CANDIDATE_BYTES: Final = 4 + LONGEST + 4 * (CONTEXT_SIZE // 3 + 1)
"""Of a candidate at most, the letters of its id left out."""
_ESCAPED_BYTES: Final = 6


def render_pools(written: Written, ranked: Ranked, contexts: Contexts, rows: Ints) -> list[Raw | UnsetType]:
    """The pools of these rows; unset for the others.

    Args:
        written: The item ids.
        ranked: Candidates of each slate [n].
        contexts: [n, size, CONTEXT_SIZE] of the candidates.
        rows: Whose pools are wanted, rising.
    """
    flat = contexts.reshape(len(contexts), -1)
    pools: list[Raw | UnsetType] = [UNSET] * len(ranked.counts)
    text, ends = _render(written.text, written.ends, ranked.items, ranked.scores, ranked.counts, flat, rows)
    found, start = text.data, 0
    for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
        pools[row] = Raw(found[start:end])
        start = end
    return pools


@kernel
def _render(
    text: Buffer,
    text_ends: Longs,
    items: Ints,
    scores: Floats,
    counts: Ints,
    contexts: Contexts,
    rows: Ints,
) -> tuple[Buffer, Longs]:
    """The pools of `rows`, and where each ends; contexts are [n, size * CONTEXT_SIZE]."""
    size = 0
    for row in rows:
        size += _BYTES + counts[row] * _CANDIDATE_BYTES
        for item in items[row, : counts[row]]:
            size += _ESCAPED_BYTES * (text_ends[item + 1] - text_ends[item])
    buffer, ends = np.empty(size, np.uint8), np.empty(rows.size, np.int64)
    at = 0
    for number in range(rows.size):
        row = rows[number]
        count = counts[row]
        at = _put(buffer, at, _ITEMS)
        for place in range(count):
            if place:
                buffer[at] = _COMMA
                at += 1
            buffer[at] = _QUOTE
            item = items[row, place]
            at = put_text(buffer, at + 1, text[text_ends[item] : text_ends[item + 1]])
            buffer[at] = _QUOTE
            at += 1
        at = _put(buffer, at, _SCORES)
        for place in range(count):
            if place:
                buffer[at] = _COMMA
                at += 1
            at = write_number(buffer, at, scores[row, place])
        at = _put(buffer, at, _CONTEXT)
        at = _put_base64(buffer, at, contexts[row, : count * CONTEXT_SIZE])
        at = _put(buffer, at, _END)
        ends[number] = at
    return buffer, ends


@kernel_part
def _put(buffer: Buffer, at: int, piece: int) -> int:
    """Write a piece; returns where it ends, as the next does."""
    for i in range(_PIECE_ENDS[piece - 1], _PIECE_ENDS[piece]):
        buffer[at] = _PIECES[i]
        at += 1
    return at


@kernel_part
def _put_base64(buffer: Buffer, at: int, data: Buffer) -> int:
    """Write bytes in base 64, padded (RFC 4648, section 4)."""
    for i in range(0, data.size, 3):
        word = np.uint32(data[i]) << np.uint32(16)
        if i + 1 < data.size:
            word |= np.uint32(data[i + 1]) << np.uint32(8)
        if i + 2 < data.size:
            word |= np.uint32(data[i + 2])
        buffer[at] = _DIGITS[(word >> np.uint32(18)) & np.uint32(63)]
        buffer[at + 1] = _DIGITS[(word >> np.uint32(12)) & np.uint32(63)]
        buffer[at + 2] = _DIGITS[(word >> np.uint32(6)) & np.uint32(63)] if i + 1 < data.size else _PADDING
        buffer[at + 3] = _DIGITS[word & np.uint32(63)] if i + 2 < data.size else _PADDING
        at += 4
    return at
