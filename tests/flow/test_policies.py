"""Policies from the file to the log, in one process: who draws, what slates say of it, what profiles keep."""

from base64 import b64decode

import msgspec
import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from state.event import Event, EventItem, Inbound, Origin
from state.models import Models
from state.policy.context import CONTEXT_SET, CONTEXT_SIZE
from state.policy.learning import expected_by, known_of
from state.policy.linear_ts import LinearTS
from state.policy.plan import Plan
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.posterior.beliefs import PRIOR, Beliefs
from state.profile import NEW_PROFILE
from state.recommend import Recommender, RecommendRules, candidates_hash
from state.reranking.rules import Rules
from state.session import SessionRules, fold_event
from state.slate import Slate
from stream.codecs import encode_slate
from tests.state.retrieval.shops import make_delta, make_interactions

T = 1_763_831_000_000
RULES = RecommendRules(slots=5, candidates=20, log_candidates=1.0)
LEARNED = Plan([(LinearTS(), 1.0)])


@pytest.fixture(scope="module")
def shop():
    models = Models()
    models.learn([make_delta(make_interactions(5))])
    return models


def asked(user="ann", scenario="home", offset=7):
    event = Event(
        event_id=f"e{offset}",
        type="click",
        user_id=user,
        time=T,
        items=(EventItem("i2"),),
        scenario=scenario,
    )
    return fold_event(NEW_PROFILE, event, SessionRules()).profile, Inbound(
        event, Origin("events", 3, offset, T)
    )


def everybody(count=40):
    return [asked(f"u{n}", "video" if n % 3 else "home", n) for n in range(count)]


def contexts_in(pool):
    return np.frombuffer(b64decode(pool.context), np.uint8).reshape(-1, CONTEXT_SIZE)


def test_a_slate_says_all_candidates_so_that_the_draw_can_be_made_again(shop):
    decide = Recommender(shop, LEARNED, RULES)
    slate = decide([asked()])[0]
    pool = slate.pool
    assert len(pool.items) == slate.candidates == 20
    assert candidates_hash("\n".join(pool.items).encode()) == slate.candidates_hash
    assert pool.context_set == CONTEXT_SET
    contexts, scores = contexts_in(pool), np.array(pool.scores, np.float32)
    known, taken = known_of(PRIOR, "home"), []
    for item in slate.items:
        index = pool.items.index(item.item_id)
        said = LinearTS().distribution_of(contexts, scores, taken, known)[index]
        assert item.propensity == pytest.approx(said, rel=1e-6)
        taken.append(index)
    again = LinearTS().choose_contexts(
        contexts[np.newaxis], scores[np.newaxis], np.array([20], np.int32), 5, np.array([slate.seed]), known
    )
    assert [pool.items[index] for index in again.indices[0]] == [item.item_id for item in slate.items]


def test_an_item_says_what_its_policy_expected_where_that_goes_by_beliefs(shop):
    decide = Recommender(shop, Plan([(LinearTS(), 1.0)], {"video": [(Softmax(), 1.0)]}), RULES)
    prior = PRIOR.by_scenario[""]
    decide.beliefs = Beliefs(1, {"": prior._replace(mean=prior.mean - np.float32(0.5))})
    for slate in decide(everybody()):
        contexts = contexts_in(slate.pool)
        for item in slate.items:
            if slate.policy == "softmax":
                assert item.expected is UNSET
                continue
            row = contexts[slate.pool.items.index(item.item_id)]
            (wanted,) = expected_by(decide.beliefs.by_scenario[""], row[np.newaxis])
            assert np.float32(item.expected) == wanted
            assert wanted < 0  # a number of either sign is written


def test_beliefs_may_change_between_two_slates(shop):
    decide = Recommender(shop, Plan([(LinearTS(epsilon=1e-6), 1.0)]), RULES)
    first = decide([asked()])[0]
    ranks = contexts_in(first.pool)[:, 2].astype(int)
    prior = PRIOR.by_scenario[""]
    mean = np.zeros_like(prior.mean)
    mean[2] = -1.0  # the last in the ranking is the best
    decide.beliefs = Beliefs(1, {"": prior._replace(mean=mean, root=0 * prior.root)})
    then = decide([asked()])[0]
    wanted = [first.pool.items[index] for index in np.argsort(ranks, kind="stable")]
    assert [item.item_id for item in then.items] == wanted[:5] != list(first.pool.items[:5])
    assert then.policy_version == first.policy_version


def test_each_user_and_scenario_has_the_policy_of_the_plan(shop):
    plan = Plan([(LinearTS(), 0.5), (Softmax(), 0.5)], {"video": [(Uniform(), 1.0)]})
    given = everybody()
    slates = list(Recommender(shop, plan, RULES)(given))
    for (_, inbound), slate in zip(given, slates, strict=True):
        policy = plan.policy_of(inbound.event.key, slate.scenario)
        assert (slate.policy, slate.policy_version) == (policy.name, policy.version)
    assert {slate.policy for slate in slates} == {"linear_ts", "softmax", "random"}


def test_slates_decided_together_are_those_decided_one_at_a_time(shop):
    plan = Plan([(LinearTS(), 0.5), (Softmax(), 0.5)], {"video": [(Uniform(), 0.3), (LinearTS(), 0.7)]})
    decide = Recommender(shop, plan, replace(RULES, log_candidates=0.5))
    given = everybody()
    together = decide(given)
    for number, each in enumerate(given):
        alone = decide([each])
        assert encode_slate(alone.wire[0]) == encode_slate(together.wire[number])
        assert alone.opened(0) == together.opened(number)


def test_the_profile_keeps_contexts_of_just_the_slates_that_say_their_candidates(shop):
    decide = Recommender(shop, LEARNED, replace(RULES, log_candidates=0.5))
    slates = decide(everybody(200))
    logged = 0
    for number, slate in enumerate(slates):
        opened = slates.opened(number)
        if slate.pool is UNSET:
            assert opened.context == b""
            continue
        logged += 1
        contexts = contexts_in(slate.pool)
        rows = [contexts[slate.pool.items.index(item.item_id)] for item in slate.items]
        assert opened.context == np.array(rows).tobytes()
    assert 65 < logged < 135
    again = decide(everybody(200))
    assert [slate.pool for slate in again] == [slate.pool for slate in slates]


def test_who_reads_the_log_keeps_the_same_of_a_slate(shop):
    decided = Recommender(shop, LEARNED, replace(RULES, log_candidates=0.5))(everybody())
    read = type(decided).read([encode_slate(wire) for wire in decided.wire])
    assert [read.opened(n) for n in range(40)] == [decided.opened(n) for n in range(40)]


@pytest.mark.parametrize("policy", [LinearTS(), Softmax()])
def test_without_logging_nothing_is_said_or_kept_of_candidates(shop, policy):
    slates = Recommender(shop, Plan([(policy, 1.0)]), replace(RULES, log_candidates=0.0))(everybody())
    assert all(slate.pool is UNSET for slate in slates)
    assert all(slates.opened(n).context == b"" for n in range(len(slates)))


def test_logging_candidates_changes_no_draw(shop):
    with_pools, without = (
        Recommender(shop, Plan([(LinearTS(), 0.5), (Softmax(), 0.5)]), replace(RULES, log_candidates=share))(
            everybody()
        )
        for share in (1.0, 0.0)
    )
    assert [slate.items for slate in with_pools] == [slate.items for slate in without]


def test_under_business_rules_the_pool_is_what_they_left_and_scores_are_boosted(shop):
    decide = Recommender(shop, LEARNED, RULES)
    plain = decide([asked()])[0].pool
    decide.follow(Rules(exclude=frozenset(plain.items[:1]), boosts={plain.items[3]: 50.0}))
    pool = decide([asked()])[0].pool
    assert plain.items[0] not in pool.items
    assert pool.items[0] == plain.items[3]
    assert pool.scores[0] == pytest.approx(50 * plain.scores[3], rel=1e-6)
    assert contexts_in(pool)[0, 1] == 255


def test_the_slate_on_the_topic_is_the_slate(shop):
    decided = Recommender(shop, LEARNED, RULES)(everybody(3))
    for number, slate in enumerate(decided):
        assert msgspec.json.decode(encode_slate(decided.wire[number]), type=Slate) == slate
