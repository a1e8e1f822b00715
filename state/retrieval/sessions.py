"""Session neighbours: VMIS-kNN with STAN-like weights, as an index that every event updates.

The index: a ring of the newest sessions with their distinct items, and for each item the newest sessions that
hold it. A session has a sequence number; its slot is the number modulo the ring's size, and a
posting whose number is more than a ring behind is stale.

Ageing is forward decay (Cormode et al., ICDE 2009): a session's weight grows with its time instead of
shrinking with its age, which ranks the same at every moment and is never rewritten.

Sources: Kersbergen, Sprangers, Schelter, Serenade (SIGMOD 2022), VMIS-kNN; Garg et al., STAN (SIGIR
2019); Ludewig et al., VSTAN (session-rec).
"""

from math import exp, log
from typing import Final, NamedTuple

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arena import block_size, free_block, new_heap, take_block
from state.retrieval.arrays import DAY_MS, Bytes, Doubles, Floats, Ints, Longs
from state.retrieval.config import ModelConfig
from state.retrieval.flags import IN_SESSION, TOUCHED
from state.retrieval.selection import BUCKETS, select_top

COLUMN: Final = 0
"""This source's column in the scores by item."""
SEQUENCE_MASK: Final = 0xFFFFFFFF
"""Postings keep 32 bits of a sequence number."""


class SessionIndex(NamedTuple):
    """The index. Item rows grow with the items, session rows up to `max_sessions`."""

    rows: Ints
    """[sessions, session_items] distinct items, oldest first."""
    size: Bytes
    """[sessions] items of the row in use."""
    time: Longs
    """[sessions] latest event time."""
    weight: Floats
    """[sessions] (e^{(time - origin)/snh} / size^alen)^{1/psi}, the factor on a similarity's base."""
    sessions_of: Ints
    """[items] live sessions that hold the item: df."""
    log_sessions_of: Floats
    """[items] ln df; 0 where df is 0."""
    offset: Longs
    """[items] block of the item's postings."""
    level: Bytes
    """[items] size class of that block."""
    posted: Ints
    """[items] postings in the block."""
    oldest: Ints
    """[items] place of the oldest posting once the block is a full ring."""
    postings: Ints
    """[entries] low 32 bits of sequence numbers."""
    heap: Longs
    counters: Longs
    """[1] sequence number of the next session."""


DIMENSIONS: Final = {
    "rows": "sessions",
    "size": "sessions",
    "time": "sessions",
    "weight": "sessions",
    "sessions_of": "items",
    "log_sessions_of": "items",
    "offset": "items",
    "level": "items",
    "posted": "items",
    "oldest": "items",
    "postings": "postings",
}


class SessionWeights(NamedTuple):
    """`ModelConfig` as the kernels want it."""

    ring: int
    postings: int
    neighbours: int
    decay: float
    """Milliseconds in which `SessionIndex.weight` grows by e: snh * psi."""
    exponent: float
    idf_exponent: float
    idf_weight: float
    match: Floats
    """[query_items] e^{-j/spw}."""
    vote: Floats
    """[query_items] e^{-j/ipw}."""
    length: Doubles
    """[session_items + 1] n^{-alen/psi}."""
    place: Floats
    """[2 * session_items] factor by place relative to the last match, that one at index `session_items`."""


class SessionScratch(NamedTuple):
    """Work space of one query; zero between queries where it says so."""

    similarity: Floats
    """[sessions, 2] sum over shared items; 1 + steps back of the most recent. Zero between queries."""
    slots: Ints
    """[query_items * postings] sessions met."""
    values: Floats
    """[query_items * postings] their similarity."""
    chosen: Ints
    """[query_items * postings]"""
    gathered: Ints
    """[neighbours * session_items] rows of the neighbours: far apart in the index, side by side here."""
    sizes: Ints
    """[neighbours] items of each."""
    buckets: Ints
    """[selection.BUCKETS]"""


def new_index(config: ModelConfig) -> SessionIndex:
    """An index without sessions, items or room."""
    return SessionIndex(
        rows=np.zeros((0, config.session_items), np.int32),
        size=np.zeros(0, np.int8),
        time=np.zeros(0, np.int64),
        weight=np.zeros(0, np.float32),
        sessions_of=np.zeros(0, np.int32),
        log_sessions_of=np.zeros(0, np.float32),
        offset=np.zeros(0, np.int64),
        level=np.zeros(0, np.int8),
        posted=np.zeros(0, np.int32),
        oldest=np.zeros(0, np.int32),
        postings=np.zeros(0, np.int32),
        heap=new_heap(),
        counters=np.zeros(1, np.int64),
    )


def session_scratch(config: ModelConfig, sessions: int) -> SessionScratch:
    """Work space for so many rows of sessions."""
    met = config.query_items * config.postings
    return SessionScratch(
        similarity=np.zeros((sessions, 2), np.float32),
        slots=np.zeros(met, np.int32),
        values=np.zeros(met, np.float32),
        chosen=np.zeros(met, np.int32),
        gathered=np.zeros(config.neighbours * config.session_items, np.int32),
        sizes=np.zeros(config.neighbours, np.int32),
        buckets=np.zeros(BUCKETS, np.int32),
    )


def session_weights(config: ModelConfig) -> SessionWeights:
    """Tables for this configuration."""
    back = np.arange(config.query_items, dtype=np.float64)
    lengths = np.arange(config.session_items + 1, dtype=np.float64)
    lengths[0] = 1.0
    place = np.arange(2 * config.session_items, dtype=np.float64) - config.session_items
    before = config.before_weight * np.exp(place / config.before_decay_steps)
    after = np.exp(-place / config.after_decay_steps)
    return SessionWeights(
        ring=config.max_sessions,
        postings=config.postings,
        neighbours=config.neighbours,
        decay=config.session_decay_days * config.similarity_exponent * DAY_MS,
        exponent=config.similarity_exponent,
        idf_exponent=config.idf_exponent,
        idf_weight=config.idf_weight,
        match=np.exp(-back / config.match_decay_steps).astype(np.float32),
        vote=np.exp(-back / config.vote_decay_steps).astype(np.float32),
        length=lengths ** (-config.length_exponent / config.similarity_exponent),
        place=np.where(place < 0, before, after).astype(np.float32),
    )


@kernel_part
def observe_session(
    index: SessionIndex, weights: SessionWeights, origin: int, item: int, sequence: int, time: int
) -> None:
    """Fold one interaction of session `sequence`: an open one, or the next new one.

    An item that the session already holds moves to its end; it is not posted again.
    """
    slot = sequence & (weights.ring - 1)
    if sequence == index.counters[0]:
        _open_slot(index, slot, sequence >= weights.ring)
        index.time[slot] = time
    row = index.rows[slot]
    size = index.size[slot]
    place = 0
    while place < size and row[place] != item:
        place += 1
    if place == size:
        if size == row.size:
            _forget_item(index, row[0])
            place = 0
            size -= 1
        _post(index, item, sequence, weights.postings)
        index.size[slot] = size + 1
        size += 1
    for later in range(place, size - 1):
        row[later] = row[later + 1]
    row[size - 1] = item
    index.time[slot] = max(index.time[slot], time)
    index.weight[slot] = exp((index.time[slot] - origin) / weights.decay) * weights.length[size]


@kernel_part
def _open_slot(index: SessionIndex, slot: int, reused: bool) -> None:
    if reused:
        for place in range(index.size[slot]):
            _forget_item(index, index.rows[slot, place])
    index.size[slot] = 0
    index.counters[0] += 1


@kernel_part
def _forget_item(index: SessionIndex, item: int) -> None:
    """One live session less holds the item."""
    left = index.sessions_of[item] - 1
    index.sessions_of[item] = left
    index.log_sessions_of[item] = log(left) if left > 0 else 0.0


@kernel_part
def _post(index: SessionIndex, item: int, sequence: int, limit: int) -> None:
    """Add the session to the item's postings, in place of the oldest when there are `limit`."""
    index.sessions_of[item] += 1
    index.log_sessions_of[item] = log(index.sessions_of[item])
    posted = index.posted[item]
    entry = np.int32(sequence & SEQUENCE_MASK)
    if posted == limit:
        index.postings[index.offset[item] + index.oldest[item]] = entry
        index.oldest[item] = (index.oldest[item] + 1) % limit
        return
    if posted == 0:
        index.offset[item] = take_block(index.postings, index.heap, 0, limit)
        index.level[item] = 0
    elif posted == block_size(index.level[item], limit):
        old = index.offset[item]
        new = take_block(index.postings, index.heap, index.level[item] + 1, limit)
        for i in range(posted):
            index.postings[new + i] = index.postings[old + i]
        free_block(index.postings, index.heap, index.level[item], old)
        index.offset[item] = new
        index.level[item] += 1
    index.postings[index.offset[item] + posted] = entry
    index.posted[item] = posted + 1


@kernel_part
def add_neighbours(
    index: SessionIndex,
    weights: SessionWeights,
    scratch: SessionScratch,
    session: Ints,
    own: int,
    scores: Floats,
    flags: Bytes,
    touched: Ints,
    count: int,
) -> int:
    """Score the items of the sessions most like the current one.

    sim(n) = (sum over shared x of e^{-(j_x - 1)/spw} idf(x)^kap)^psi / |n|^alen, aged; an item's score is the
    sum over the k most similar of sim(n) e^{-(j* - 1)/ipw} (1 + idfl idf(x)) place(x), with j_x steps back
    of x, j* those of the most recent shared item and place the decay from n's last shared item.

    Args:
        index: The index.
        weights: Its parameters.
        scratch: Work space.
        session: [n] distinct items of the current session, newest first.
        own: Sequence number of the current session in the index, or -1: it is not its own neighbour.
        scores: [items, sources] column `COLUMN` is added to.
        flags: [items] `IN_SESSION` is set for the current session's items.
        touched: [items] items with a score.
        count: How many of `touched` are in use.

    Returns:
        The new `count`.
    """
    met = _meet(index, weights, scratch, session, own)
    chosen = select_top(scratch.values, met, weights.neighbours, scratch.chosen, scratch.buckets)
    top = np.float32(0.0)
    for i in range(chosen):
        top = max(top, scratch.values[scratch.chosen[i]])
    first = count
    width = index.rows.shape[1]
    # By itself, the processor waits for many of these rows at once.
    for i in range(chosen):
        slot = scratch.slots[scratch.chosen[i]]
        size = index.size[slot]
        scratch.sizes[i] = size
        for place in range(size):
            scratch.gathered[i * width + place] = index.rows[slot, place]
    for i in range(chosen):
        slot = scratch.slots[scratch.chosen[i]]
        value = scratch.values[scratch.chosen[i]]
        if value > 0.0:
            steps = int(scratch.similarity[slot, 1]) - 1
            vote = (value / top) ** weights.exponent * weights.vote[steps]
            row = scratch.gathered[i * width : i * width + scratch.sizes[i]]
            count = _vote(row, vote, weights.place, scores, flags, touched, count)
    for i in range(met):
        scratch.similarity[scratch.slots[i], 0] = 0.0
        scratch.similarity[scratch.slots[i], 1] = 0.0
    log_sessions = log(min(index.counters[0], weights.ring) + 1.0)
    for i in range(first, count):
        item = touched[i]
        scores[item, COLUMN] *= 1.0 + weights.idf_weight * max(
            0.0, log_sessions - index.log_sessions_of[item]
        )
    return count


@kernel_part
def _meet(
    index: SessionIndex, weights: SessionWeights, scratch: SessionScratch, session: Ints, own: int
) -> int:
    """Find the sessions that share an item with the current one, and the base of their similarity."""
    met = 0
    log_sessions = log(min(index.counters[0], weights.ring) + 1.0)
    newest = index.counters[0] - 1
    for back in range(min(session.size, weights.match.size)):
        item = session[back]
        idf = max(0.0, log_sessions - index.log_sessions_of[item])
        share = np.float32(weights.match[back] * idf**weights.idf_exponent)
        if share <= 0.0:
            continue
        offset = index.offset[item]
        for i in range(index.posted[item]):
            sequence = np.int64(index.postings[offset + i])
            age = (newest - sequence) & SEQUENCE_MASK
            if age >= weights.ring or newest - age == own:
                continue
            slot = sequence & (weights.ring - 1)
            if scratch.similarity[slot, 1] == 0.0:
                scratch.similarity[slot, 1] = back + 1
                scratch.slots[met] = slot
                met += 1
            scratch.similarity[slot, 0] += share
    for i in range(met):
        slot = scratch.slots[i]
        scratch.values[i] = scratch.similarity[slot, 0] * index.weight[slot]
    return met


@kernel_part
def _vote(
    row: Ints, vote: float, places: Floats, scores: Floats, flags: Bytes, touched: Ints, count: int
) -> int:
    """Add one neighbour's vote to the scores of its items."""
    match = row.size - 1
    while match > 0 and flags[row[match]] & IN_SESSION == 0:
        match -= 1
    zero = places.size // 2 - match
    for place in range(row.size):
        item = row[place]
        if flags[item] & TOUCHED == 0:
            flags[item] |= TOUCHED
            touched[count] = item
            count += 1
        scores[item, COLUMN] += vote * places[zero + place]
    return count
