"""What the slates of a run say of their items, as JSON, by one kernel call: no Python object per item."""

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from state.interner import Written, pack_strings
from state.kernel import kernel
from state.policy.base import Choices
from state.ranking.features import N_FEATURES, Featured
from state.retrieval.arrays import Doubles, Floats, Ints, Longs
from state.retrieval.blend import Ranked
from state.retrieval.weights import SOURCES
from state.shortest import (
    LONGEST,
    Buffer,
    power_of_ten,
    shortest,
    write_decimal,
    write_number,
    write_whole,
)

_PIECES, _PIECE_ENDS = pack_strings(
    [
        "",
        '{"item_id":"',
        '","position":',
        ',"score":',
        ',"propensity":',
        ',"sources":[',
        "]},",
        '],"features":[',
        *(f'{{"name":"{name}","score":' for name in SOURCES),
    ]
)
_ITEM, _POSITION, _SCORE, _PROPENSITY, _SOURCES, _END, _FEATURES, _NAMES = range(1, 9)
_ITEM_BYTES: Final = int(_PIECES.size) + (len(SOURCES) + 3) * (LONGEST + 2)
"""Bytes of an item at most, its id and its features left out."""
_FEATURES_BYTES: Final = N_FEATURES * (LONGEST + 1)
_NO_ITEMS: Final = np.zeros((0, 0), np.int32)
_NO_VALUES: Final = np.zeros((0, 0, 0), np.float32)
_ESCAPED_BYTES: Final = 6
"""Bytes at most of one byte of an id, `\\u001f`."""
_QUOTE, _BACKSLASH, _SPACE, _COMMA, _NEWLINE, _OPEN, _CLOSE, _BRACE = (
    np.uint8(ord(sign)) for sign in '"\\ ,\n[]}'
)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_UNICODE: Final = np.frombuffer(b"\\u00", np.uint8)

Hashes: TypeAlias = NDArray[np.uint32]


class Rendered(NamedTuple):
    """What was chosen, for all slates of a run one after the other."""

    items: memoryview
    """The JSON arrays `items`."""
    item_ends: list[int]
    """[n] end of each slate's."""
    names: memoryview
    """Ids of the candidates in ranked order, with newlines between them: what `candidates_hash` is of."""
    name_ends: list[int]
    """[n] end of each slate's."""
    ends: list[int]
    """[1 + n] end of each slate's items in the next two, after a 0."""
    hashes: bytes
    """[items] CRC-32 of the item ids, little-endian."""
    propensities: Floats
    """[items]"""
    slate_propensities: list[float]
    """[n] product of a slate's propensities as they are written; 0 where it underflows."""


def render(written: Written, ranked: Ranked, choices: Choices, featured: Featured | None = None) -> Rendered:
    """Render the slates that `choices` drew from the candidates `ranked`.

    With `featured`, which holds these candidates in any order, the items say their features; one that it does
    not hold has an empty list.
    """
    rows, slots = choices.indices.shape
    ends = np.zeros(rows + 1, np.int64)
    np.cumsum(np.minimum(ranked.counts, slots), out=ends[1:])
    hashes, propensities = np.empty(ends[-1], np.uint32), np.empty(ends[-1], np.float32)
    products = np.empty(rows)
    names, name_ends = _join_names(written.text, written.ends, ranked.items, ranked.counts)
    featured_items, values = (_NO_ITEMS, _NO_VALUES) if featured is None else featured[:2]
    items, item_ends = _render(
        written.text,
        written.ends,
        written.hashes,
        ranked.items,
        ranked.scores,
        ranked.contributions,
        *choices,
        ends,
        hashes,
        propensities,
        products,
        featured_items,
        values,
    )
    return Rendered(
        items.data,
        item_ends.tolist(),
        names.data,
        name_ends.tolist(),
        ends.tolist(),
        hashes.astype("<u4", copy=False).tobytes(),
        propensities,
        products.tolist(),
    )


@kernel
def _join_names(text: Buffer, ends: Longs, items: Ints, counts: Ints) -> tuple[Buffer, Longs]:
    """The candidates' ids [rows, most], each row's joined by newlines."""
    size = 0
    for row in range(counts.size):
        for item in items[row, : counts[row]]:
            size += ends[item + 1] - ends[item] + 1
    buffer, buffer_ends = np.empty(size, np.uint8), np.empty(counts.size, np.int64)
    at = 0
    for row in range(counts.size):
        for place in range(counts[row]):
            if place:
                buffer[at] = _NEWLINE
                at += 1
            item = items[row, place]
            for i in range(ends[item], ends[item + 1]):
                buffer[at] = text[i]
                at += 1
        buffer_ends[row] = at
    return buffer, buffer_ends


@kernel
def _render(
    text: Buffer,
    text_ends: Longs,
    text_hashes: Hashes,
    candidates: Ints,
    scores: Floats,
    contributions: Floats,
    indices: Ints,
    propensities: Floats,
    ends: Longs,
    hashes: Hashes,
    flat_propensities: Floats,
    products: Doubles,
    featured: Ints,
    values: Floats,
) -> tuple[Buffer, Longs]:
    """Write each row's items; fill `hashes`, `flat_propensities` and `products` as in `Rendered`."""
    has_features = values.size > 0
    size = _most_bytes(text_ends, candidates, indices, ends) + has_features * ends[-1] * _FEATURES_BYTES
    buffer = np.empty(size, np.uint8)
    buffer_ends = np.empty(products.size, np.int64)
    at = 0
    for row in range(products.size):
        product = 1.0
        buffer[at] = _OPEN
        at += 1
        for place in range(ends[row + 1] - ends[row]):
            index = indices[row, place]
            item, propensity = candidates[row, index], propensities[row, place]
            at = _put(buffer, at, _ITEM)
            at = _put_text(buffer, at, text[text_ends[item] : text_ends[item + 1]])
            at = write_whole(buffer, _put(buffer, at, _POSITION), place + 1)
            at = write_number(buffer, _put(buffer, at, _SCORE), scores[row, index])
            digits, scale = shortest(propensity)
            at = write_decimal(buffer, _put(buffer, at, _PROPENSITY), digits, scale)
            product *= digits / power_of_ten(scale)
            at = _put_sources(buffer, _put(buffer, at, _SOURCES), contributions[row, index])
            if has_features:
                at = _put(buffer, at, _FEATURES)
                at = _put_features(buffer, at, featured[row], item, values[row])
            at = _put(buffer, at, _END)
            hashes[ends[row] + place] = text_hashes[item]
            flat_propensities[ends[row] + place] = propensity
        if buffer[at - 1] == _COMMA:
            at -= 1
        buffer[at] = _CLOSE
        at += 1
        buffer_ends[row] = at
        products[row] = product
    return buffer, buffer_ends


@kernel
def _most_bytes(text_ends: Longs, candidates: Ints, indices: Ints, ends: Longs) -> int:
    """What the JSON of all slates may need at most."""
    size = 2 * (ends.size - 1) + ends[-1] * _ITEM_BYTES
    for row in range(ends.size - 1):
        for index in indices[row, : ends[row + 1] - ends[row]]:
            item = candidates[row, index]
            size += _ESCAPED_BYTES * (text_ends[item + 1] - text_ends[item])
    return int(size)


@kernel
def _put(buffer: Buffer, at: int, piece: int) -> int:
    """Write a piece; returns where it ends, as all that follow do."""
    for i in range(_PIECE_ENDS[piece - 1], _PIECE_ENDS[piece]):
        buffer[at] = _PIECES[i]
        at += 1
    return at


@kernel
def _put_sources(buffer: Buffer, at: int, shares: Floats) -> int:
    """Write the sources that have a share in the score."""
    first = at
    for source in range(shares.size):
        if shares[source] > 0.0:
            if at > first:
                buffer[at] = _COMMA
                at += 1
            at = write_number(buffer, _put(buffer, at, _NAMES + source), shares[source])
            buffer[at] = _BRACE
            at += 1
    return at


@kernel
def _put_features(buffer: Buffer, at: int, featured: Ints, item: int, values: Floats) -> int:
    """Write the features [features, lanes] of the candidate that is this item; none of any other item."""
    place = 0
    while place < featured.size and featured[place] != item:
        place += 1
    for feature in range(values.shape[0] if place < featured.size else 0):
        if feature:
            buffer[at] = _COMMA
            at += 1
        at = write_number(buffer, at, values[feature, place])
    return at


@kernel
def _put_text(buffer: Buffer, at: int, text: Buffer) -> int:
    """Write what stands between the quotes of a JSON string."""
    for byte in text:
        if byte < _SPACE:
            buffer[at : at + 4] = _UNICODE
            buffer[at + 4] = _HEX[byte >> 4]
            buffer[at + 5] = _HEX[byte & 15]
            at += 6
            continue
        if byte in (_QUOTE, _BACKSLASH):
            buffer[at] = _BACKSLASH
            at += 1
        buffer[at] = byte
        at += 1
    return at
