from math import prod

import msgspec
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from state.interner import Interner
from state.policy.base import Choices
from state.profile import item_hashes
from state.ranking.features import N_FEATURES, Featured
from state.render import names_of, render
from state.reranking.rules import FACTORS
from state.retrieval.blend import SOURCES, Ranked
from state.shortest import as_double
from state.slate import RuleFactor, SlateItem, Source

IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SHARES = st.floats(0.0, 2.0, width=32)


@st.composite
def runs(draw):
    """A few items, candidate lists over them and what was drawn from each."""
    ids = draw(st.lists(IDS, unique=True, min_size=1, max_size=8))
    slots = draw(st.integers(0, 6))
    rows = draw(st.lists(st.permutations(range(len(ids))), max_size=4))
    counts = [draw(st.integers(0, len(ids))) for _ in rows]
    shape = (len(rows), len(ids))
    shares = draw(st.lists(SHARES, min_size=4, max_size=4 * shape[0] * shape[1] + 4))
    contributions = np.resize(np.array(shares, np.float32), (*shape, len(SOURCES)))
    ranked = Ranked(
        np.array(rows, np.int32).reshape(shape),
        contributions.sum(axis=2),
        contributions,
        np.array(counts, np.int32),
    )
    choices = Choices.empty(np.array(counts, np.int32), slots)
    choices.propensities[:] = draw(st.floats(2.0**-100, 1.0, width=32))
    for row, count in enumerate(counts):
        k = min(slots, count)
        choices.indices[row, :k] = draw(st.permutations(range(count)))[:k]
    return ids, ranked, choices


def parts(data, ends):
    starts = [0, *ends]
    return [bytes(data[start:end]) for start, end in zip(starts, ends, strict=False)]


def plain(ids, ranked, choices):
    """The items of each slate, one at a time."""
    for row, count in enumerate(ranked.counts.tolist()):
        found = ranked.of(row)
        k = min(choices.indices.shape[1], count)
        drawn = zip(choices.indices[row, :k].tolist(), choices.propensities[row, :k].tolist(), strict=True)
        yield [
            SlateItem(
                ids[found.items[index]],
                position,
                as_double(found.scores[index]),
                as_double(propensity),
                tuple(
                    Source(name, as_double(share))
                    for name, share in zip(SOURCES, found.contributions[index].tolist(), strict=True)
                    if share > 0
                ),
            )
            for position, (index, propensity) in enumerate(drawn, 1)
        ]


@settings(max_examples=300, deadline=None)
@given(runs())
def test_items_are_written_as_their_structs_would_be(run):
    ids, ranked, choices = run
    rendered = render(Interner(ids).written(), ranked, choices)
    expected = list(plain(ids, ranked, choices))
    assert [
        msgspec.json.decode(part, type=list[SlateItem]) for part in parts(rendered.items, rendered.item_ends)
    ] == expected
    if not any(set(map(chr, range(32))) & set(item) for item in ids):
        texts = [msgspec.json.encode(items) for items in expected]
        assert parts(rendered.items, rendered.item_ends) == texts


@settings(max_examples=300, deadline=None)
@given(runs())
def test_what_goes_with_the_items_is_in_their_order(run):
    ids, ranked, choices = run
    rendered = render(Interner(ids).written(), ranked, choices)
    expected = list(plain(ids, ranked, choices))
    items = [item for slate in expected for item in slate]
    assert rendered.ends == [0, *np.cumsum([len(slate) for slate in expected], dtype=int).tolist()]
    assert rendered.hashes == item_hashes([item.item_id for item in items])
    assert rendered.propensities.tolist() == [np.float32(item.propensity) for item in items]
    products = [prod([item.propensity for item in slate], start=1.0) for slate in expected]
    assert np.allclose(rendered.slate_propensities, products, rtol=1e-12, atol=0)


@settings(max_examples=100, deadline=None)
@given(runs())
def test_names_are_those_of_all_candidates_in_ranked_order(run):
    ids, ranked, choices = run
    rendered = render(Interner(ids).written(), ranked, choices)
    rows = range(len(ranked.counts))
    lists = [[ids[item] for item in ranked.of(row).items] for row in rows]
    assert parts(rendered.names, rendered.name_ends) == ["\n".join(names).encode() for names in lists]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example('"\\/\x00\x1f\x7f\u2028😀')
def test_any_id_is_escaped_so_that_it_comes_back(item_id):
    shares = np.full((1, 1, len(SOURCES)), 0.25, np.float32)
    ranked = Ranked(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), shares, np.ones(1, np.int32))
    choices = Choices(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), np.ones(1, np.int32))
    rendered = render(Interner([item_id]).written(), ranked, choices)
    (item,) = msgspec.json.decode(rendered.items[: rendered.item_ends[0]])
    assert item["item_id"] == item_id


@settings(max_examples=100, deadline=None)
@given(runs(), st.integers(0, 1000))
def test_features_are_those_of_the_item_whatever_the_order_of_the_candidates(run, seed):
    ids, ranked, choices = run
    rng = np.random.default_rng(seed)
    items = rng.permuted(ranked.items, axis=1)
    values = rng.choice(np.array([0, 1, 0.1, 12345, 1e-7], np.float32), (*items.shape, N_FEATURES))
    featured = Featured(items, values.transpose(0, 2, 1).copy(), ranked.counts)
    rendered = render(Interner(ids).written(), ranked, choices, featured=featured)
    read = [
        msgspec.json.decode(part, type=list[SlateItem]) for part in parts(rendered.items, rendered.item_ends)
    ]
    for row, (slate, bare) in enumerate(zip(read, plain(ids, ranked, choices), strict=True)):
        by_id = dict(zip([ids[item] for item in items[row]], values[row].tolist(), strict=True))
        for item, without in zip(slate, bare, strict=True):
            assert np.array(item.features, np.float32).tolist() == by_id[item.item_id]
            assert replace(item, features=msgspec.UNSET) == without


def test_an_item_that_is_no_candidate_has_no_features():
    ranked = Ranked(
        np.zeros((1, 1), np.int32),
        np.ones((1, 1), np.float32),
        np.zeros((1, 1, len(SOURCES)), np.float32),
        np.ones(1, np.int32),
    )
    choices = Choices(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), np.ones(1, np.int32))
    others = Featured(np.ones((1, 1), np.int32), np.ones((1, N_FEATURES, 1), np.float32), ranked.counts)
    rendered = render(Interner(["a", "b"]).written(), ranked, choices, featured=others)
    (item,) = msgspec.json.decode(rendered.items[: rendered.item_ends[0]])
    assert item["features"] == []


FACTOR = st.sampled_from([1.0, 1.0, 0.5, 1.25, 0.0, 0.1])


@settings(max_examples=200, deadline=None)
@given(runs(), st.data())
def test_factors_that_are_not_1_stand_with_their_item(run, data):
    ids, ranked, choices = run
    shape = (*ranked.scores.shape, len(FACTORS))
    drawn = data.draw(st.lists(FACTOR, min_size=3, max_size=12))
    factors = np.resize(np.array(drawn, np.float32), shape)
    rendered = render(Interner(ids).written(), ranked, choices, factors=factors)
    found = [
        msgspec.json.decode(part, type=list[SlateItem]) for part in parts(rendered.items, rendered.item_ends)
    ]
    for row, items in enumerate(found):
        for place, item in enumerate(items):
            its = factors[row, choices.indices[row, place]]
            expected = tuple(
                RuleFactor(name, as_double(factor))
                for name, factor in zip(FACTORS, its, strict=True)
                if factor != 1
            )
            assert item.rules == (expected or msgspec.UNSET)
    bare = [[msgspec.structs.replace(item, rules=msgspec.UNSET) for item in items] for items in found]
    assert bare == list(plain(ids, ranked, choices))


@settings(max_examples=50, deadline=None)
@given(runs())
def test_factors_of_1_alone_change_no_byte(run):
    ids, ranked, choices = run
    written, ones = Interner(ids).written(), np.ones((*ranked.scores.shape, len(FACTORS)), np.float32)
    with_ones, without = render(written, ranked, choices, factors=ones), render(written, ranked, choices)
    ends = without.item_ends
    assert with_ones.item_ends == ends
    assert parts(with_ones.items, ends) == parts(without.items, ends)


def test_a_limited_slate_ends_where_its_size_says():
    shares = np.full((1, 3, len(SOURCES)), 0.25, np.float32)
    items = np.arange(3, dtype=np.int32).reshape(1, 3)
    ranked = Ranked(items, np.ones((1, 3), np.float32), shares, np.array([3], np.int32))
    choices = Choices(np.array([[2, 0]], np.int32), np.ones((1, 2), np.float32), np.array([1], np.int32))
    rendered = render(Interner(["a", "b", "c"]).written(), ranked, choices)
    (item,) = msgspec.json.decode(rendered.items[: rendered.item_ends[0]], type=list[SlateItem])
    assert item.item_id == "c"
    assert rendered.ends == [0, 1]


def test_a_plugged_in_source_has_its_name():
    shares = np.zeros((1, 1, len(SOURCES) + 1), np.float32)
    shares[0, 0, -1] = 0.5
    ranked = Ranked(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), shares, np.ones(1, np.int32))
    choices = Choices(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32), np.ones(1, np.int32))
    rendered = render(Interner(["a"]).written(), ranked, choices, names=names_of((*SOURCES, "season")))
    (item,) = msgspec.json.decode(rendered.items[: rendered.item_ends[0]], type=list[SlateItem])
    assert item.sources == (Source("season", 0.5),)
