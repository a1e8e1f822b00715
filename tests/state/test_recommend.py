import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.json import encode as encode_json

from state.catalogue import CatalogueItem
from state.event import Event, EventItem, Inbound, Origin
from state.models import Models
from state.policy.base import choose
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.shares import Shares
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.profile import NEW_PROFILE
from state.ranking.features import FEATURE_SET, featurise
from state.recommend import Recommender, RecommendRules, candidates_hash, query_of
from state.reranking.rulebook import POOL
from state.reranking.rules import Rules
from state.retrieval.blend import SOURCES, Query, retrieve, retrieve_all
from state.retrieval.config import ModelConfig
from state.retrieval.plugged import Plugged
from state.retrieval.source import CandidateSource, Proposals
from state.seeds import seed_of
from state.session import SessionRules, fold_event
from state.shortest import as_double
from state.slate import Slate, SlateItem, Source, Trigger
from state.slates import Slates
from tests.state.ranking.made import made_ranker
from tests.state.retrieval.shops import make_delta, make_interactions

T = 1_763_831_000_000
DAY = 86_400_000
RULES = RecommendRules(slots=5, candidates=20)


def inbound(items=("i1",), kind="click", *, offset=7, time=T, **fields):
    event = Event(
        **{
            "event_id": f"e{offset}",
            "type": kind,
            "user_id": "ann",
            "time": time,
            "items": tuple(EventItem(item) for item in items),
        }
        | fields
    )
    return Inbound(event, Origin("events", 3, offset, time))


def after(*inbounds):
    """The profile after these events."""
    profile = NEW_PROFILE
    for event, _ in inbounds:
        profile = fold_event(profile, event, SessionRules()).profile
    return profile


@pytest.fixture(scope="module")
def shop():
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    return models


def everyone(policy):
    return Shares([(policy, 1.0)], "test")


def slate_of(models, *inbounds, rules=RULES, policy=None):
    decide = Recommender(models, everyone(policy or Softmax()), rules)
    return decide([(after(*inbounds), inbounds[-1])])[0]


def item_ids(slate):
    return [item.item_id for item in slate.items]


def test_a_slate_says_whom_it_answers_and_why(shop):
    slate = slate_of(shop, inbound(tenant="north", scenario="cart"))
    assert slate.slate_id == "events-3-7"
    assert (slate.user_id, slate.tenant, slate.scenario) == ("ann", "north", "cart")
    assert slate.trigger == Trigger("e7", T, "events", 3, 7)
    assert (slate.policy, slate.policy_version) == ("softmax", Softmax().version)
    assert slate.schema_version == 1


def test_the_time_of_a_slate_is_the_logs_not_the_events(shop):
    event, origin = inbound(time=T)
    late = Inbound(event, origin._replace(time=T + 90_000))
    slate = Recommender(shop, everyone(Softmax()), RULES)([(after(late), late)])[0]
    assert (slate.time, slate.trigger.time) == (T + 90_000, T)


def test_positions_count_from_one_and_no_item_comes_twice(shop):
    slate = slate_of(shop, inbound())
    assert [item.position for item in slate.items] == [1, 2, 3, 4, 5]
    assert len(set(item_ids(slate))) == 5


def test_scores_and_propensities_are_float32_numbers_in_short_and_the_slates_is_their_product(shop):
    slate = slate_of(shop, inbound())
    for item in slate.items:
        assert item.propensity == as_double(np.float32(item.propensity))
        assert item.score == as_double(np.float32(item.score))
        assert 0 < item.propensity <= 1
        assert item.score >= 0
    assert slate.slate_propensity == pytest.approx(
        math.prod(item.propensity for item in slate.items), rel=1e-12
    )


def test_the_logged_propensities_are_those_of_the_policy_over_the_candidates(shop):
    policy = Softmax()
    slate = slate_of(shop, inbound(), policy=policy)
    profile = after(inbound())
    found = retrieve(shop, Query(("i1",), now=T, size=20, session_key=profile.session_key))
    ids = [shop.item_ids[item] for item in found.items]
    taken = []
    for item in slate.items:
        index = ids.index(item.item_id)
        assert item.propensity == pytest.approx(policy.distribution(found.scores, taken)[index], rel=1e-5)
        assert np.float32(item.score) == found.scores[index]
        taken.append(index)


def test_the_sources_of_an_item_add_up_to_its_score(shop):
    slate = slate_of(shop, inbound(), rules=RecommendRules(slots=20, candidates=20))
    for item in slate.items:
        assert sum(source.score for source in item.sources) == pytest.approx(item.score, rel=1e-5)
        assert {source.name for source in item.sources} <= set(SOURCES)
        assert all(source.score > 0 for source in item.sources)
    assert {source.name for item in slate.items for source in item.sources} >= {"popularity"}


def test_the_candidates_hash_is_blake2b_over_the_ids_in_their_ranked_order(shop):
    slate = slate_of(shop, inbound())
    profile = after(inbound())
    found = retrieve(shop, Query(("i1",), now=T, size=20, session_key=profile.session_key))
    ids = "\n".join(shop.item_ids[item] for item in found.items)
    assert slate.candidates == len(found.items)
    assert slate.candidates_hash == hashlib.blake2b(ids.encode(), digest_size=8).hexdigest()


def test_the_hash_tells_orders_and_borders_apart():
    lists = (["a", "b"], ["b", "a"], ["ab"], [], ["a"], ["ä"])
    hashes = {candidates_hash("\n".join(ids).encode()) for ids in lists}
    assert len(hashes) == 6
    assert all(len(digest) == 16 for digest in hashes)


def test_the_seed_comes_from_the_place_in_the_log_and_draws_the_same_again(shop):
    slate = slate_of(shop, inbound())
    assert slate.seed == seed_of("events", 3, 7)
    assert slate == slate_of(shop, inbound())


def test_another_record_draws_another_slate(shop):
    slates = {tuple(item_ids(slate_of(shop, inbound(offset=offset)))) for offset in range(20)}
    assert len(slates) > 1


def test_the_policy_decides_how_the_candidates_are_drawn(shop):
    slate = slate_of(shop, inbound(), policy=EpsilonGreedy(epsilon=1e-6))
    found = retrieve(shop, Query(("i1",), now=T, size=20, session_key=after(inbound()).session_key))
    assert item_ids(slate) == [shop.item_ids[item] for item in found.items[:5]]
    assert slate.policy == "epsilon_greedy"


def test_a_users_slates_are_drawn_by_the_policy_of_their_share(shop):
    shares = Shares([(Softmax(), 0.5), (Uniform(), 0.5)], "test")
    decide = Recommender(shop, shares, RULES)
    seen = set()
    for user, offset in ((f"u{n % 20}", n) for n in range(60)):
        asked = inbound(user_id=user, offset=offset)
        slate = decide([(after(asked), asked)])[0]
        policy = shares.policy_of(asked.event.key)
        assert (slate.policy, slate.policy_version) == (policy.name, policy.version)
        if policy.name == "random":
            wanted = [np.float32(1 / (slate.candidates - depth)) for depth in range(5)]
            assert [item.propensity for item in slate.items] == wanted
        seen.add(slate.policy)
    assert seen == {"softmax", "random"}


def test_users_of_the_same_id_in_two_tenants_have_shares_of_their_own(shop):
    shares = Shares([(Softmax(), 0.5), (Uniform(), 0.5)], "test")
    decide = Recommender(shop, shares, RULES)
    asked = [inbound(user_id="ann", tenant=tenant) for tenant in ("a", "b", "c", "d", "e", "f", "g", "h")]
    assert {slate.policy for slate in decide([(after(each), each) for each in asked])} == {
        "softmax",
        "random",
    }


def test_the_item_one_looks_at_is_not_recommended(shop):
    everything = RecommendRules(slots=100, candidates=100)
    assert "i1" not in item_ids(slate_of(shop, inbound(), rules=everything))
    assert "i1" in item_ids(slate_of(shop, inbound(["i2"]), rules=everything))


def test_what_was_bought_is_left_out_for_the_time_that_the_rules_say(shop):
    bought = inbound(["i2"], "purchase", offset=1, time=T)
    rules = RecommendRules(slots=100, candidates=100, exclude_bought_ms=DAY)
    soon = slate_of(shop, bought, inbound(offset=2, time=T + DAY), rules=rules)
    later = slate_of(shop, bought, inbound(offset=2, time=T + DAY + 1), rules=rules)
    assert "i2" not in item_ids(soon)
    assert "i2" in item_ids(later)


def test_a_purchase_of_fifty_items_gets_a_slate_without_them(shop):
    names = [f"i{n}" for n in range(20)] + [f"new{n}" for n in range(30)]
    slate = slate_of(shop, inbound(names, "purchase"), rules=RecommendRules(slots=100, candidates=100))
    remembered = names[-32:]
    assert slate.items
    assert not set(item_ids(slate)) & set(remembered)


def test_own_items_of_earlier_sessions_come_back(shop):
    old = inbound(["i24"], offset=1, time=T - 30 * DAY)
    slate = slate_of(shop, old, inbound(offset=2), rules=RecommendRules(slots=100, candidates=100))
    (item,) = [item for item in slate.items if item.item_id == "i24"]
    assert SOURCES[3] in {source.name for source in item.sources}


def test_a_session_is_not_its_own_neighbour():
    """What was just learned from this very session must not vote for itself."""
    events = [inbound(["a"], offset=1), inbound(["b"], offset=2), inbound(["c"], offset=3)]
    key = after(*events).session_key
    own, other = Models(), Models()
    own.learn([make_delta([("a", key, T, 2), ("b", key, T, 2), ("c", key, T, 2)])])
    other.learn([make_delta([("a", key + 1, T, 2), ("b", key + 1, T, 2), ("c", key + 1, T, 2)])])
    named = [{s.name for i in slate_of(models, *events).items for s in i.sources} for models in (own, other)]
    assert SOURCES[0] not in named[0]
    assert SOURCES[0] in named[1]


# The edges -------------------------------------------------------------------------------------------


def test_a_shop_that_nobody_has_visited_gets_an_empty_slate():
    slate = slate_of(Models(), inbound())
    assert (slate.items, slate.candidates, slate.slate_propensity) == ((), 0, 1.0)
    assert slate.candidates_hash == candidates_hash(b"")


def test_a_brand_new_user_is_shown_what_is_popular(shop):
    slate = Recommender(shop, everyone(Softmax()), RULES)([(NEW_PROFILE, inbound((), "search"))])[0]
    assert len(slate.items) == 5
    assert all({source.name for source in item.sources} == {"popularity"} for item in slate.items)


def test_an_item_that_nobody_knows_is_no_obstacle(shop):
    slate = slate_of(shop, inbound(["never seen"]))
    assert len(slate.items) == 5
    assert "never seen" not in item_ids(slate)


def test_items_outside_the_catalogue_are_not_recommended():
    models = Models()
    models.learn([make_delta([("in", 1, T, 2), ("out", 1, T, 2), ("other", 1, T, 2)])])
    for item_id, available in (("in", True), ("sold out", False), ("untried", True)):
        models.upsert_item(item_id, CatalogueItem(item_id=item_id, available=available))
    slate = slate_of(models, inbound(["other"]))
    assert sorted(item_ids(slate)) == ["in", "untried"]


def test_a_catalogue_with_nothing_available_gets_an_empty_slate():
    models = Models()
    models.learn([make_delta([("a", 1, T, 2), ("b", 1, T, 2)])])
    models.upsert_item("a", CatalogueItem(item_id="a", available=False))
    slate = slate_of(models, inbound(["b"]))
    assert (slate.items, slate.slate_propensity) == ((), 1.0)


def test_without_a_catalogue_all_that_was_seen_may_be_shown():
    models = Models()
    models.learn([make_delta([("a", 1, T, 2), ("b", 1, T, 2)])])
    assert item_ids(slate_of(models, inbound(["b"]))) == ["a"]


def test_fewer_candidates_than_slots_give_a_shorter_slate():
    models = Models()
    models.learn([make_delta([("a", 1, T, 2), ("b", 1, T, 2), ("c", 1, T, 2)])])
    slate = slate_of(models, inbound(["c"]), rules=RecommendRules(slots=10, candidates=60))
    assert sorted(item_ids(slate)) == ["a", "b"]
    assert slate.items[-1].propensity == 1.0


def test_a_slate_too_improbable_for_a_double_has_no_propensity_of_its_own():
    models = Models(ModelConfig(popularity_pool=512))
    models.learn([make_delta([(f"i{n}", 1 + n // 3, T + n, 2) for n in range(900)])])
    rules = RecommendRules(slots=200, candidates=900)
    decide = Recommender(models, everyone(EpsilonGreedy(epsilon=1.0)), rules)
    event = inbound((), "search")
    slate = decide([(after(event), event)])[0]
    assert math.prod(item.propensity for item in slate.items) == 0.0
    assert slate.slate_propensity is None


# Many at once ----------------------------------------------------------------------------------------

WIDE = Shares([(Softmax(), 0.5), (EpsilonGreedy(epsilon=0.3), 0.2), (Uniform(), 0.3)], "test")
IDS = st.sampled_from([f"i{n}" for n in range(25)] + ["new"])
HISTORIES = st.lists(
    st.tuples(st.lists(IDS, min_size=1, max_size=4), st.sampled_from(["click", "purchase", "view"])),
    min_size=1,
    max_size=6,
)


def asked_by(user, history, start):
    """The last of a user's events, a day apart, and the profile after them."""
    inbounds = [
        inbound(items, kind, offset=start + n, time=T + n * DAY, user_id=user)
        for n, (items, kind) in enumerate(history)
    ]
    return after(*inbounds), inbounds[-1]


def one_at_a_time(models, profile, asked):
    """The definition of a slate, in plain Python."""
    event, origin = asked
    found = retrieve(models, query_of(profile, origin.time, RULES))
    policy, seed = WIDE.policy_of(event.key), seed_of(*origin[:3])
    choice = choose(policy, found.scores, RULES.slots, seed)
    names = [models.item_ids[item] for item in found.items]
    drawn = zip(choice.indices.tolist(), choice.propensities.tolist(), strict=True)
    items = [
        SlateItem(
            names[index],
            position,
            as_double(found.scores[index]),
            as_double(propensity),
            tuple(
                Source(name, as_double(share))
                for name, share in zip(SOURCES, found.contributions[index].tolist(), strict=True)
                if share
            ),
        )
        for position, (index, propensity) in enumerate(drawn, 1)
    ]
    return Slate(
        slate_id=f"events-3-{origin.offset}",
        user_id=event.user_id,
        tenant=event.tenant,
        scenario=event.scenario,
        time=origin.time,
        trigger=Trigger(event.event_id, event.time, "events", 3, origin.offset),
        policy=policy.name,
        policy_version=policy.version,
        seed=seed,
        candidates=len(names),
        candidates_hash=candidates_hash("\n".join(names).encode()),
        items=tuple(items),
        slate_propensity=pytest.approx(math.prod(item.propensity for item in items), rel=1e-12),
    )


@settings(deadline=None)
@given(st.lists(HISTORIES, max_size=6))
def test_slates_decided_together_are_those_decided_one_at_a_time(shop, histories):
    asked = [asked_by(f"u{n}", history, 10 * n) for n, history in enumerate(histories)]
    slates = Recommender(shop, WIDE, RULES)(asked)
    assert list(slates) == [one_at_a_time(shop, *each) for each in asked]


# With a ranker ---------------------------------------------------------------------------------------

LOGGING = RecommendRules(slots=5, candidates=20, log_features=True)
FULL = RecommendRules(slots=20, candidates=20)
GREEDY = everyone(EpsilonGreedy(epsilon=1e-6))


def ranked_slate(models, ranker, rules=RULES, shares=GREEDY):
    decide = Recommender(models, shares, rules)
    decide.ranker = ranker
    asked = inbound(["i2"])
    return decide([(after(asked), asked)])[0]


def test_a_ranker_orders_the_candidates_and_the_slate_names_it(shop):
    ranker = made_ranker()
    query = query_of(after(inbound(["i2"])), T, RULES)
    blended = retrieve_all(shop, [query], 20)
    ranked = ranker.rank(blended, featurise(shop, [query], blended)).of(0)
    slate = ranked_slate(shop, ranker)
    assert item_ids(slate) == [shop.item_ids[item] for item in ranked.items[:5]]
    assert item_ids(slate) != [shop.item_ids[item] for item in blended.of(0).items[:5]]
    assert [item.score for item in slate.items] == [as_double(score) for score in ranked.scores[:5]]
    assert slate.ranker == ranker.version
    names = "\n".join(shop.item_ids[item] for item in ranked.items)
    assert slate.candidates_hash == candidates_hash(names.encode())


def test_the_sources_of_a_ranked_item_are_still_those_of_the_blend(shop):
    plain = {item.item_id: item for item in ranked_slate(shop, None, FULL).items}
    for item in ranked_slate(shop, made_ranker(), FULL).items:
        assert item.sources == plain[item.item_id].sources
        assert plain[item.item_id].score != item.score


def test_another_ranker_takes_over_between_two_slates(shop):
    decide = Recommender(shop, GREEDY, RULES)
    asked = inbound()
    versions = []
    for ranker in (None, made_ranker(1, "first"), made_ranker(2, "second"), None):
        decide.ranker = ranker
        versions.append(decide([(after(asked), asked)])[0].ranker)
    assert versions == [UNSET, "first", "second", UNSET]


def test_without_a_ranker_a_slate_says_nothing_of_one(shop):
    decide = Recommender(shop, GREEDY, RULES)
    asked = inbound()
    written = encode_json(decide([(after(asked), asked)]).wire[0])
    assert b"ranker" not in written
    assert b"feature" not in written


@pytest.mark.parametrize("ranker", [None, made_ranker()])
@pytest.mark.parametrize("shares", [WIDE, GREEDY])
def test_logged_features_are_the_ones_that_were_ranked_by(shop, ranker, shares):
    slate = ranked_slate(shop, ranker, LOGGING, shares)
    query = query_of(after(inbound(["i2"])), T, RULES)
    blended = retrieve_all(shop, [query], 20)
    features = featurise(shop, [query], blended).of(0)
    rows = {shop.item_ids[item]: row for item, row in zip(blended.of(0).items, features, strict=True)}
    assert slate.feature_set == FEATURE_SET
    for item in slate.items:
        assert np.array(item.features, np.float32).tolist() == rows[item.item_id].tolist()


def test_a_slate_with_features_comes_back_the_same_from_its_bytes(shop):
    decide = Recommender(shop, GREEDY, LOGGING)
    decide.ranker = made_ranker()
    asked = inbound()
    slates = decide([(after(asked), asked)])
    value = encode_json(slates.wire[0])
    assert encode_json(Slates.read([value]).wire[0]) == value
    assert encode_json(Slates.of(slates).wire[0]) == value


# Business rules and plugged-in sources ---------------------------------------------------------------

SHELVES = ("shoes", "shoes/trail", "tents")


@pytest.fixture(scope="module")
def shelved():
    """The shop with a catalogue: three categories in turn."""
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    for number, item_id in enumerate(list(models.item_ids)):
        models.upsert_item(item_id, CatalogueItem(item_id=item_id, category=SHELVES[number % 3]))
    return models


def ruled_slates(models, business, *, policy=None, count=40, plugged=()):
    decide = Recommender(models, everyone(policy or Softmax()), RULES, plugged=plugged)
    decide.follow(business)
    asked = [inbound(user_id=f"u{n}", offset=n) for n in range(count)]
    return list(decide([(after(each), each) for each in asked]))


def test_without_rules_a_slate_says_nothing_of_them(shop):
    slate = slate_of(shop, inbound())
    assert slate.rules is UNSET
    assert all(item.rules is UNSET for item in slate.items)


def test_rules_that_say_nothing_change_nothing(shop):
    decide = Recommender(shop, everyone(Softmax()), RULES)
    asked = [(after(inbound()), inbound())]
    before = decide(asked)
    decide.follow(Rules())
    assert decide(asked) == before


@pytest.mark.parametrize("policy", [Softmax(temperature=2.0), EpsilonGreedy(epsilon=0.5), Uniform()])
def test_no_slate_breaks_a_limit_and_propensities_are_those_among_what_it_leaves(shelved, policy):
    rules = Rules(category_limit=3, category_limits={"shoes": 2})
    limited = 0
    for slate in ruled_slates(shelved, rules, policy=policy):
        shelf = [shelved.catalogue[item.item_id].category for item in slate.items]
        assert sum(each.startswith("shoes") for each in shelf) <= 2
        assert shelf.count("tents") <= 3
        assert len(slate.items) == 5
        assert slate.rules.version == rules.version
        limited += slate.rules.capped
        if policy.name == "random":
            assert slate.items[0].propensity == pytest.approx(1 / slate.candidates)
    assert limited


def test_the_propensities_of_a_slate_under_limits_can_be_computed_again(shelved):
    """From the candidates, the rules and the definition alone."""
    rules, policy = Rules(category_limits={"shoes": 1, "tents": 2}), Softmax(temperature=0.5)
    profile = after(inbound())
    found = retrieve(shelved, Query(("i1",), now=T, size=POOL * 20, session_key=profile.session_key))
    ids = [shelved.item_ids[item] for item in found.items]
    groups = [shelved.catalogue[each].category.partition("/")[0] for each in ids]
    # What the list holds of a category: limit * candidates // slots.
    kept, held = [], {}
    for index, group in enumerate(groups):
        held[group] = held.get(group, 0) + 1
        if held[group] <= {"shoes": 4, "tents": 8}[group]:
            kept.append(index)
    scores = found.scores[kept[:20]]
    (slate,) = ruled_slates(shelved, rules, policy=policy, count=1)
    assert slate.candidates == len(scores)
    taken = []
    for item in slate.items:
        full = {
            group
            for group, most in rules.category_limits.items()
            if sum(groups[kept[index]] == group for index in taken) == most
        }
        barred = [i for i in range(len(scores)) if i in taken or groups[kept[i]] in full]
        index = kept.index(ids.index(item.item_id))
        assert item.propensity == pytest.approx(policy.distribution(scores, barred)[index], rel=1e-5)
        taken.append(index)
    assert len(taken) == 3  # nothing else is allowed: fewer items, no broken rule


def test_what_is_excluded_never_comes_and_is_counted(shelved):
    rules = Rules(exclude=frozenset({"i2", "i5"}), exclude_categories=frozenset({"tents"}))
    for slate in ruled_slates(shelved, rules):
        assert not {"i2", "i5"} & set(item_ids(slate))
        assert all(shelved.catalogue[item].category != "tents" for item in item_ids(slate))
        assert slate.rules.excluded > 2


def test_a_score_is_its_sources_times_its_rules(shelved):
    rules = Rules(boosts={"i2": 4.0}, category_boosts={"shoes": 1.5}, diversity=0.25)
    seen = set()
    for slate in ruled_slates(shelved, rules):
        for item in slate.items:
            factors = {rule.name: rule.factor for rule in item.rules or ()}
            shares = sum(source.score for source in item.sources)
            assert item.score == pytest.approx(shares * math.prod(factors.values()), rel=1e-5)
            seen |= factors.keys()
    assert seen == {"boost", "category_boost", "diversity"}


def test_a_shop_whose_items_are_all_excluded_gets_an_empty_slate(shelved):
    rules = Rules(exclude_categories=frozenset({"shoes", "tents"}))
    (slate,) = ruled_slates(shelved, rules, count=1)
    assert (slate.items, slate.candidates, slate.slate_propensity) == ((), 0, 1.0)
    assert slate.rules.excluded > 0


def test_each_arm_of_an_experiment_is_under_the_rules(shelved):
    decide = Recommender(shelved, WIDE, RULES)
    decide.follow(Rules(category_limit=1))
    asked = [inbound(user_id=f"u{n}", offset=n) for n in range(40)]
    slates = list(decide([(after(each), each) for each in asked]))
    assert {slate.policy for slate in slates} == {"softmax", "epsilon_greedy", "random"}
    for together, each in zip(slates, asked, strict=True):
        assert 0 < len(together.items) <= 3
        assert decide([(after(each), each)])[0] == together


class Always(CandidateSource):
    """Proposes one item to everybody."""

    def __init__(self, item_id):
        self.item_id = item_id

    def score(self, queries):
        return [Proposals((self.item_id,), (1.0,)) for _ in queries]


def test_a_plugged_in_source_brings_its_items_under_its_name(shelved):
    plugged = (Plugged("mine", 5.0, Always("i19")),)
    slates = ruled_slates(shelved, Rules(), plugged=plugged)
    shown = [item for slate in slates for item in slate.items if item.item_id == "i19"]
    assert len(shown) > 30
    for item in shown:
        assert Source("mine", 5.0) in item.sources
        assert sum(source.score for source in item.sources) == pytest.approx(item.score, rel=1e-5)


def test_what_a_plugged_in_source_brings_is_under_the_rules(shelved):
    plugged = (Plugged("mine", 5.0, Always("i19")),)
    slates = ruled_slates(shelved, Rules(exclude=frozenset({"i19"})), plugged=plugged)
    assert not any("i19" in item_ids(slate) for slate in slates)


def test_rules_hold_for_what_a_ranker_ordered(shelved):
    decide = Recommender(shelved, GREEDY, LOGGING)
    decide.ranker = made_ranker()
    decide.follow(Rules(category_limits={"shoes": 1}))
    (slate,) = decide([(after(inbound()), inbound())])
    assert sum(shelved.catalogue[each].category != "tents" for each in item_ids(slate)) == 1
    assert slate.ranker and slate.rules and all(item.features for item in slate.items)  # noqa: PT018
