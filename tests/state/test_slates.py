import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import HEARTBEAT_TENANT
from state.policy.context import CONTEXT_SIZE
from state.profile import OpenSlate, item_hashes
from state.shortest import as_double
from state.slate import RuleFactor, Slate, SlateItem, SlateRules, Source, Trigger
from state.slates import Slates, WireSlate
from tests.state import shown

T = 1_763_831_000_000


def slate(number, propensities, policy="softmax", item_id='i"'):
    items = tuple(
        SlateItem(f"{item_id}{n}", n, 0.5, as_double(p), (Source("popularity", 0.5),))
        for n, p in enumerate(propensities, 1)
    )
    return Slate(
        slate_id=f"events-0-{number}",
        user_id="ann",
        tenant="default",
        scenario="feed",
        time=T + number,
        trigger=Trigger("e", T, "events", 0, number),
        policy=policy,
        policy_version="1",
        seed=number,
        candidates=len(items),
        candidates_hash="0" * 16,
        items=items,
        slate_propensity=0.5,
    )


IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
PROPENSITIES = st.floats(2.0**-60, 1.0, width=32)
SLATES = st.lists(
    st.builds(
        slate,
        st.integers(0, 99),
        st.lists(PROPENSITIES, max_size=4),
        st.sampled_from(["softmax", "random"]),
        IDS,
    ),
    max_size=5,
)


def test_it_has_the_fields_of_a_slate_in_their_order():
    assert WireSlate.__struct_fields__ == Slate.__struct_fields__


@given(SLATES)
def test_slates_come_back_as_they_were_given(given_slates):
    slates = Slates.of(given_slates)
    assert list(slates) == given_slates
    assert slates[1:] == given_slates[1:]
    assert len(slates) == len(given_slates)


@given(SLATES)
def test_a_slate_is_written_as_its_struct_is(given_slates):
    slates = Slates.of(given_slates)
    assert [msgspec.json.encode(wire) for wire in slates.wire] == [
        msgspec.json.encode(s) for s in given_slates
    ]


@given(SLATES)
def test_slates_read_from_the_topic_are_written_as_they_were(given_slates):
    values = [msgspec.json.encode(each) for each in given_slates]
    slates = Slates.read(values)
    assert [msgspec.json.encode(wire) for wire in slates.wire] == values
    assert slates == Slates.of(given_slates)
    assert slates.propensities.tolist() == Slates.of(given_slates).propensities.tolist()


@pytest.mark.parametrize("written", [rb"\t", rb"\u0009", rb"\u0041", rb"\/", rb"\u00e4"])
def test_an_id_that_json_can_write_in_several_ways_stays_as_it_was_written(written):
    value = msgspec.json.encode(slate(0, [0.5, 0.25], item_id="ID")).replace(b"ID", written)
    slates = Slates.read([value])
    assert msgspec.json.encode(slates.wire[0]) == value
    item_id = msgspec.json.decode(b'"%s1"' % written)
    assert slates[0].items[0].item_id == item_id
    assert slates.opened(0).items[:4] == item_hashes([item_id])


@given(SLATES)
def test_what_awaits_feedback_is_the_items_and_their_propensities_to_the_last_bit(given_slates):
    slates = Slates.of(given_slates)
    for number, each in enumerate(given_slates):
        opened = slates.opened(number)
        if not each.items:
            assert opened is None
            continue
        propensities = np.array([item.propensity for item in each.items], "<f4").tobytes()
        hashes = item_hashes([item.item_id for item in each.items])
        assert opened == OpenSlate(each.slate_id, each.time, "feed", each.policy, "1", hashes, propensities)


@given(SLATES)
def test_propensities_stand_with_the_policy_that_drew_them(given_slates):
    found = Slates.of(given_slates).propensities_by_policy()
    assert found.keys() == {each.policy for each in given_slates}
    for policy, propensities in found.items():
        expected = [
            np.float32(item.propensity)
            for each in given_slates
            if each.policy == policy
            for item in each.items
        ]
        assert propensities.tolist() == expected


def test_slates_without_items_are_told_apart():
    slates = Slates.of([slate(0, [0.5]), slate(1, []), slate(2, [])])
    assert [wire.slate_id for wire in slates.empty()] == ["events-0-1", "events-0-2"]


def test_slates_are_equal_to_slates_of_the_same_content_alone():
    one = [slate(0, [0.5]), slate(1, [])]
    assert Slates.of(one) == Slates.of(one)
    assert Slates.of(one) != Slates.of(one[:1])
    assert Slates.of(one) != one
    with pytest.raises(TypeError):
        hash(Slates.of(one))


def test_rules_come_through_and_cost_no_byte_where_there_are_none():
    plain = slate(1, [0.5])
    (item,) = plain.items
    ruled = msgspec.structs.replace(
        plain,
        items=(msgspec.structs.replace(item, rules=(RuleFactor("boost", 1.5),)),),
        rules=SlateRules("12ab34cd", 3, 2),
    )
    values = [msgspec.json.encode(each) for each in (plain, ruled)]
    slates = Slates.read(values)
    assert [msgspec.json.encode(wire) for wire in slates.wire] == values
    assert list(slates) == [plain, ruled]
    assert b"rules" not in values[0]
    assert values[1].endswith(b',"rules":{"version":"12ab34cd","excluded":3,"capped":2}}')


class TestContexts:
    POOLED = shown.slate(1, "a", "b", pool=shown.pool("c", "b", "a"))
    PLAIN = shown.slate(2, "c")
    CONTEXTS = shown.context_of("a") + shown.context_of("b")

    def test_what_awaits_feedback_has_the_contexts_of_its_items(self):
        wire, numbers = Slates.of([self.POOLED, self.PLAIN]).wire, np.array([0.9, 0.81, 0.9], np.float32)
        contexts = self.CONTEXTS + bytes(CONTEXT_SIZE)
        slates = Slates(wire, [0, 2, 3], item_hashes("abc"), numbers, contexts)
        assert slates.opened(0).context == self.CONTEXTS
        assert slates.opened(0).context_at(2) == shown.context_of("b")
        assert slates.opened(1).context == b""

    def test_without_contexts_none_are_kept(self):
        assert Slates.of([self.PLAIN]).opened(0).context == b""
        wire = Slates.of([self.PLAIN]).wire
        assert Slates(wire, [0, 1], item_hashes("c"), np.ones(1, np.float32)).opened(0).context == b""

    def test_a_published_slate_has_them_in_its_pool(self):
        given_slates = [self.POOLED, self.PLAIN]
        read = Slates.read([msgspec.json.encode(each) for each in given_slates])
        for slates in (Slates.of(given_slates), read):
            assert [slates.opened(n).context for n in (0, 1)] == [self.CONTEXTS, b""]

    def test_contexts_of_another_set_mean_something_else_and_are_left_out(self):
        other = shown.slate(1, "a", pool=shown.pool("a", context_set="00000000"))
        assert Slates.of([other]).opened(0).context == b""

    def test_an_item_that_is_not_in_the_pool_has_zeros(self):
        odd = shown.slate(1, "a", "z", pool=shown.pool("a"))
        assert Slates.of([odd]).opened(0).context == shown.context_of("a") + bytes(CONTEXT_SIZE)

    def test_a_pool_without_contexts_keeps_none(self):
        bare = msgspec.structs.replace(shown.pool("a"), context="")
        assert Slates.of([shown.slate(1, "a", pool=bare)]).opened(0).context == b""


@given(SLATES, st.lists(st.booleans(), min_size=5, max_size=5))
def test_the_slates_of_shoppers_are_those_that_answer_no_heartbeat(given_slates, beats):
    marked = [
        msgspec.structs.replace(each, tenant=HEARTBEAT_TENANT) if is_beat else each
        for each, is_beat in zip(given_slates, beats, strict=False)
    ]
    kept = [each for each in marked if each.tenant != HEARTBEAT_TENANT]
    slates, expected = Slates.of(marked).of_shoppers(), Slates.of(kept)
    assert slates == expected
    assert list(slates) == kept
    assert [slates.opened(n) for n in range(len(kept))] == [expected.opened(n) for n in range(len(kept))]
    assert slates.propensities.tolist() == expected.propensities.tolist()


def test_contexts_stay_with_their_slates_where_a_heartbeats_are_taken_out():
    pooled = msgspec.structs.replace(slate(1, [0.5, 0.25], item_id="i"), pool=shown.pool("i2", "i1"))
    slates = [msgspec.structs.replace(pooled, tenant=HEARTBEAT_TENANT), pooled]
    left = Slates.of(slates).of_shoppers()
    assert left.opened(0) == Slates.of(slates[1:]).opened(0)
    assert len(left.opened(0).context) == 2 * CONTEXT_SIZE
