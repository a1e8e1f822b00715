"""What the slates of a run say of their items, as JSON, by one kernel call: no Python object per item."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from state.interner import Written, pack_strings
from state.kernel import kernel, kernel_part
from state.policy.base import Choices
from state.ranking.features import N_FEATURES, Featured
from state.reranking.rerank import NO_FACTORS
from state.reranking.rules import FACTORS
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

_FACTOR_PIECES: Final = [f'{{"name":"{name}","factor":' for name in FACTORS]
_PIECES, _PIECE_ENDS = pack_strings(
    [
        "",
        '{"item_id":"',
        '","position":',
        ',"score":',
        ',"propensity":',
        ',"sources":[',
        ',"rules":[',
        ',"features":[',
        "]",
        "},",
        ',"expected":',
        *_FACTOR_PIECES,
    ]
)
_ITEM, _POSITION, _SCORE, _PROPENSITY, _SOURCES, _RULES, _FEATURES, _LIST_END, _END = range(1, 10)
_EXPECTED, _FACTORS = 10, 11
_ITEM_BYTES: Final = int(_PIECES.size) + 2 + (len(FACTORS) + 4) * (LONGEST + 2)
"""Bytes of an item at most, its id, its sources and its features left out."""
_FACTOR_ENDS: Final = _PIECE_ENDS[_FACTORS - 1 :].copy()
"""[1 + factors] as in `Names`."""
_FEATURES_BYTES: Final = N_FEATURES * (LONGEST + 1)
_NO_ITEMS: Final = np.zeros((0, 0), np.int32)
_NO_VALUES: Final = np.zeros((0, 0, 0), np.float32)
NOTHING_EXPECTED: Final = np.zeros(0, np.float32)
_ESCAPED_BYTES: Final = 6
"""Bytes at most of one byte of an id, `\\u001f`."""
_QUOTE, _BACKSLASH, _SPACE, _COMMA, _NEWLINE, _OPEN, _CLOSE, _BRACE, _MINUS = (
    np.uint8(ord(sign)) for sign in '"\\ ,\n[]}-'
)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_UNICODE: Final = np.frombuffer(b"\\u00", np.uint8)

Hashes: TypeAlias = NDArray[np.uint32]


class Names(NamedTuple):
    """Names of candidate sources as they stand before their shares, one after the other."""

    text: Buffer
    ends: Longs
    """[1 + sources] end of each in `text`, after a 0."""
    most: int
    """Bytes of all of them with their shares, at most."""


def names_of(sources: Sequence[str]) -> Names:
    """Names of these sources, in the order of their columns."""
    text, ends = pack_strings(["", *(f'{{"name":"{name}","score":' for name in sources)])
    return Names(text, ends, int(text.size) + len(sources) * (LONGEST + 2))


SOURCE_NAMES: Final = names_of(SOURCES)


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


def render(
    written: Written,
    ranked: Ranked,
    choices: Choices,
    *,
    factors: Floats = NO_FACTORS,
    names: Names = SOURCE_NAMES,
    featured: Featured | None = None,
    expected: Floats = NOTHING_EXPECTED,
) -> Rendered:
    """Render the slates that `choices` drew from the candidates `ranked`.

    Args:
        written: The item ids.
        ranked: Candidates of each slate [n].
        choices: What was drawn.
        factors: [n, size, len(FACTORS)] of the business rules, or none at all.
        names: Of the sources that `ranked` has columns of.
        featured: Candidates, these among them in any order, with the features that the items then say; an
            item that is not among them has an empty list.
        expected: [items] reward expected of each chosen item, NaN where nothing is; or none at all.
    """
    rows = len(choices.sizes)
    ends = np.zeros(rows + 1, np.int64)
    np.cumsum(choices.sizes, out=ends[1:])
    hashes, propensities = np.empty(ends[-1], np.uint32), np.empty(ends[-1], np.float32)
    products, item_ends = np.empty(rows), np.empty(rows, np.int64)
    joined, name_ends = _join_names(written.text, written.ends, ranked.items, ranked.counts)
    featured_items, values = (_NO_ITEMS, _NO_VALUES) if featured is None else featured[:2]
    most = names.most + (_FEATURES_BYTES if values.size else 0)
    items = np.empty(_most_bytes(written.ends, ranked.items, choices.indices, ends, most), np.uint8)
    _render(
        written.text,
        written.ends,
        written.hashes,
        ranked.items,
        ranked.scores,
        ranked.contributions,
        factors,
        choices.indices,
        choices.propensities,
        *names[:2],
        ends,
        featured_items,
        values,
        expected,
        items,
        item_ends,
        hashes,
        propensities,
        products,
    )
    return Rendered(
        items.data,
        item_ends.tolist(),
        joined.data,
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


@kernel_part
def _render(
    text: Buffer,
    text_ends: Longs,
    text_hashes: Hashes,
    candidates: Ints,
    scores: Floats,
    contributions: Floats,
    factors: Floats,
    indices: Ints,
    propensities: Floats,
    names: Buffer,
    name_ends: Longs,
    ends: Longs,
    featured: Ints,
    values: Floats,
    expected: Floats,
    buffer: Buffer,
    buffer_ends: Longs,
    hashes: Hashes,
    flat_propensities: Floats,
    products: Doubles,
) -> None:
    """Write each row's items to `buffer`, and fill what follows it as in `Rendered`."""
    at = 0
    for row in range(products.size):
        product = 1.0
        buffer[at] = _OPEN
        at += 1
        for place in range(ends[row + 1] - ends[row]):
            index = indices[row, place]
            item, propensity = candidates[row, index], propensities[row, place]
            at = _put(buffer, at, _ITEM)
            at = put_text(buffer, at, text[text_ends[item] : text_ends[item + 1]])
            at = write_whole(buffer, _put(buffer, at, _POSITION), place + 1)
            at = write_number(buffer, _put(buffer, at, _SCORE), scores[row, index])
            digits, scale = shortest(propensity)
            at = _put(buffer, at, _PROPENSITY)
            at = write_decimal(buffer, at, digits, scale)
            product *= digits / power_of_ten(scale)
            at = _put(buffer, at, _SOURCES)
            at = _put_numbers(buffer, at, names, name_ends, contributions[row, index], 0.0)
            at = _put(buffer, at, _LIST_END)
            if factors.size and _has_other(factors[row, index], 1.0):
                at = _put(buffer, at, _RULES)
                at = _put_numbers(buffer, at, _PIECES, _FACTOR_ENDS, factors[row, index], 1.0)
                at = _put(buffer, at, _LIST_END)
            if values.size:
                at = _put_features(buffer, at, featured[row], item, values[row])
            if expected.size and not np.isnan(expected[ends[row] + place]):
                at = _put_signed(buffer, _put(buffer, at, _EXPECTED), expected[ends[row] + place])
            at = _put(buffer, at, _END)
            hashes[ends[row] + place] = text_hashes[item]
            flat_propensities[ends[row] + place] = propensity
        if buffer[at - 1] == _COMMA:
            at -= 1
        buffer[at] = _CLOSE
        at += 1
        buffer_ends[row] = at
        products[row] = product


@kernel_part
def _most_bytes(text_ends: Longs, candidates: Ints, indices: Ints, ends: Longs, most: int) -> int:
    """What the JSON of all slates may need at most."""
    size = 2 * (ends.size - 1) + ends[-1] * (_ITEM_BYTES + most)
    for row in range(ends.size - 1):
        for index in indices[row, : ends[row + 1] - ends[row]]:
            item = candidates[row, index]
            size += _ESCAPED_BYTES * (text_ends[item + 1] - text_ends[item])
    return int(size)


@kernel_part
def _put(buffer: Buffer, at: int, piece: int) -> int:
    """Write a piece; returns where it ends, as all that follow do."""
    for i in range(_PIECE_ENDS[piece - 1], _PIECE_ENDS[piece]):
        buffer[at] = _PIECES[i]
        at += 1
    return at


@kernel_part
def _has_other(numbers: Floats, nothing: float) -> bool:
    """Whether one of the numbers is not `nothing`."""
    others = 0
    for number in numbers:
        others += number != nothing
    return others > 0


@kernel_part
def _put_numbers(
    buffer: Buffer, at: int, names: Buffer, name_ends: Longs, numbers: Floats, nothing: float
) -> int:
    """Write each of the numbers that is not `nothing`, with its name."""
    first = at
    for number in range(numbers.size):
        if numbers[number] != nothing:
            if at > first:
                buffer[at] = _COMMA
                at += 1
            for i in range(name_ends[number], name_ends[number + 1]):
                buffer[at] = names[i]
                at += 1
            at = write_number(buffer, at, numbers[number])
            buffer[at] = _BRACE
            at += 1
    return at


@kernel_part
def _put_signed(buffer: Buffer, at: int, number: np.float32) -> int:
    """Write a finite number of either sign."""
    if number < 0.0:
        buffer[at] = _MINUS
        at += 1
    return write_number(buffer, at, abs(number))


@kernel_part
def _put_features(buffer: Buffer, at: int, featured: Ints, item: int, values: Floats) -> int:
    """Write the features [features, lanes] of the candidate that is this item; none of any other item."""
    at = _put(buffer, at, _FEATURES)
    place = 0
    while place < featured.size and featured[place] != item:
        place += 1
    for feature in range(values.shape[0] if place < featured.size else 0):
        if feature:
            buffer[at] = _COMMA
            at += 1
        at = write_number(buffer, at, values[feature, place])
    return _put(buffer, at, _LIST_END)


@kernel_part
def put_text(buffer: Buffer, at: int, text: Buffer) -> int:
    """Write what stands between the quotes of a JSON string."""
    for byte in text:
        if byte < _SPACE:
            for i in range(_UNICODE.size):
                buffer[at + i] = _UNICODE[i]
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
