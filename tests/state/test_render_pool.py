from base64 import b64encode

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from state.interner import Interner
from state.policy.context import CONTEXT_SET, contexts_of
from state.render_pool import render_pools
from state.retrieval.blend import SOURCES, Ranked
from state.shortest import as_double
from state.slate import Pool

IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def rows(draw):
    """Candidate lists over a few items, and which of them are wanted."""
    ids = draw(st.lists(IDS, unique=True, min_size=1, max_size=8))
    lists = draw(st.lists(st.permutations(range(len(ids))), min_size=1, max_size=4))
    counts = [draw(st.integers(0, len(ids))) for _ in lists]
    shape = (len(lists), len(ids), len(SOURCES))
    shares = draw(st.lists(st.floats(0.0, 2.0, width=32), min_size=4, max_size=40))
    contributions = np.resize(np.array(shares, np.float32), shape)
    ranked = Ranked(
        np.array(lists, np.int32), contributions.sum(axis=2), contributions, np.array(counts, np.int32)
    )
    wanted = [row for row in range(len(lists)) if draw(st.booleans())]
    return ids, ranked, np.array(wanted, np.int32)


@settings(max_examples=200, deadline=None)
@given(rows())
def test_pools_are_written_as_their_structs_would_be(given_rows):
    ids, ranked, wanted = given_rows
    contexts = contexts_of(ranked)
    pools = render_pools(Interner(ids).written(), ranked, contexts, wanted)
    for row, pool in enumerate(pools):
        if row not in wanted:
            assert pool is UNSET
            continue
        found = ranked.of(row)
        expected = Pool(
            tuple(ids[item] for item in found.items),
            tuple(as_double(score) for score in found.scores),
            b64encode(contexts[row, : len(found.items)].tobytes()).decode(),
            CONTEXT_SET,
        )
        assert msgspec.json.decode(pool, type=Pool) == expected
        if not any(set(map(chr, range(32))) & set(item) for item in ids):
            assert bytes(pool) == msgspec.json.encode(expected)
