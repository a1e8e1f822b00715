import numpy as np
import pytest
from msgspec.structs import replace

from state.models import Models
from state.ranking.examples import MOST_LABEL, Examples, answered_examples, blended, logged_examples, quality
from state.ranking.features import FEATURE_SET, N_FEATURES, featurise
from state.retrieval.blend import Query, retrieve_all
from state.slate import Reward, Slate, SlateItem, Trigger
from tests.state.retrieval.shops import make_delta, make_interactions

T = 1_763_831_000_000


@pytest.fixture(scope="module")
def shop():
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    return models


def slate(number, *item_ids, feature_set=FEATURE_SET):
    """A slate whose items have their place as every feature."""
    items = tuple(
        SlateItem(item_id, place, 0.5, 0.5, (), features=(float(place),) * N_FEATURES)
        for place, item_id in enumerate(item_ids, 1)
    )
    return Slate(
        slate_id=f"s{number}",
        user_id="ann",
        tenant="default",
        scenario="feed",
        time=T + number,
        trigger=Trigger("e", T, "events", 0, number),
        policy="softmax",
        policy_version="00000000",
        seed=1,
        candidates=len(items),
        candidates_hash="",
        items=items,
        feature_set=feature_set,
    )


def reward(number, item_id, worth=1.0):
    return Reward(
        reward_id=f"s{number}:{item_id}:{worth}",
        slate_id=f"s{number}",
        event_id="e",
        user_id="ann",
        tenant="default",
        scenario="feed",
        item_id=item_id,
        position=1,
        type="click",
        time=T,
        reward=worth,
        value=None,
        currency=None,
        propensity=0.5,
        policy="softmax",
        policy_version="00000000",
        delay_seconds=1.0,
    )


def answered(models, queries, answers):
    return answered_examples(models, queries, retrieve_all(models, queries, 25), answers)


# Queries ---------------------------------------------------------------------------------------------


def test_each_query_is_a_list_with_what_came_next_in_it(shop):
    queries = [Query(("i1",)), Query(("i1", "i2"))]
    examples = answered(shop, queries, [("i2",), ("i3", "i4")])
    ranked = retrieve_all(shop, queries, 25)
    assert examples.sizes.tolist() == ranked.counts.tolist()
    first, second = np.split(examples.labels, [examples.sizes[0]])
    named = [[shop.item_ids[item] for item in ranked.of(row).items] for row in range(2)]
    assert [named[0][place] for place in np.flatnonzero(first)] == ["i2"]
    assert {named[1][place] for place in np.flatnonzero(second)} == {"i3", "i4"}
    assert not examples.positions.any()


def test_the_features_are_those_that_serving_has(shop):
    query = [Query(("i1",))]
    featured = featurise(shop, query, retrieve_all(shop, query, 25))
    examples = answered(shop, query, [("i2",)])
    assert examples.features.tolist() == featured.of(0).tolist()


@pytest.mark.parametrize("answer", ["i1", "new"])
def test_a_query_whose_answer_is_not_found_is_left_out(shop, answer):
    # The item that the session is at is never a candidate.
    assert answered(shop, [Query(("i1",))], [(answer,)]).sizes.size == 0


def test_queries_together_are_those_one_at_a_time(shop):
    queries = [Query((f"i{n % 7}",), (f"i{n % 5}",)) for n in range(60)]
    answers = [(f"i{n % 11}",) for n in range(60)]
    together = answered(shop, queries, answers)
    alone = [answered(shop, [query], [answer]) for query, answer in zip(queries, answers, strict=True)]
    assert 0 < together.sizes.size < 60
    assert [column.tolist() for column in together] == [column.tolist() for column in Examples.joined(alone)]


# The decision log ------------------------------------------------------------------------------------


def test_a_rewarded_slate_is_a_list_of_its_items():
    examples = logged_examples([slate(1, "a", "b", "c")], [reward(1, "b", 2.0)])
    assert examples.labels.tolist() == [0, 2, 0]
    assert examples.positions.tolist() == [1, 2, 3]
    assert examples.sizes.tolist() == [3]
    assert examples.features[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_slates_without_a_reward_teach_no_order():
    examples = logged_examples([slate(1, "a", "b"), slate(2, "a", "b")], [reward(2, "a")])
    assert examples.sizes.tolist() == [2]


def test_rewards_of_an_item_add_up_and_what_is_taken_back_counts_as_nothing():
    slates = [slate(1, "a", "b"), slate(2, "a", "b")]
    rewards = [reward(1, "a", 1.0), reward(1, "a", 5.0), reward(1, "b", 5.0), reward(1, "b", -5.0)]
    examples = logged_examples(slates, rewards)
    assert examples.labels.tolist() == [6, 0]


def test_labels_end_where_the_gains_do():
    assert logged_examples([slate(1, "a", "b")], [reward(1, "a", 1e6)]).labels.tolist() == [MOST_LABEL, 0]


def test_slates_without_features_or_with_others_are_left_out():
    slates = [slate(1, "a", "b", feature_set="00000000")]
    assert logged_examples(slates, [reward(1, "a")]).sizes.size == 0


def test_a_slate_with_an_item_that_no_model_found_is_left_out():
    full = slate(1, "a", "b")
    partly = replace(full, items=(full.items[0], replace(full.items[1], features=())))
    assert logged_examples([partly], [reward(1, "a")]).sizes.size == 0


def test_a_slate_that_was_published_twice_counts_once():
    again = [slate(1, "a", "b"), slate(1, "a", "b")]
    assert logged_examples(again, [reward(1, "a")]).sizes.tolist() == [2]


# What is made of them --------------------------------------------------------------------------------


def test_a_split_keeps_lists_whole_and_in_order():
    examples = logged_examples(
        [slate(n, *"abcde"[: 2 + n % 3]) for n in range(10)], [reward(n, "a") for n in range(10)]
    )
    first, rest = examples.split(0.7)
    assert (first.sizes.size, rest.sizes.size) == (7, 3)
    assert first.labels.size == first.sizes.sum()
    again = Examples.joined([first, rest])
    assert [column.tolist() for column in again] == [column.tolist() for column in examples]


def test_quality_is_one_for_a_perfect_order_and_less_for_any_other():
    examples = logged_examples([slate(1, "a", "b", "c")], [reward(1, "b", 2.0), reward(1, "c", 1.0)])
    assert quality(examples, np.array([0.0, 2.0, 1.0])) == (1.0, 1.0)
    worse = quality(examples, np.array([2.0, 1.0, 0.0]))
    assert worse.mrr == 0.5
    assert worse.ndcg == pytest.approx((2 / np.log2(3) + 1 / 2) / (2 + 1 / np.log2(3)))


def test_the_blend_is_judged_by_its_own_score():
    examples = logged_examples([slate(1, "a", "b", "c")], [reward(1, "c")])
    assert blended(examples).tolist() == [1.0, 2.0, 3.0]
    assert quality(examples, blended(examples)).mrr == 1.0
