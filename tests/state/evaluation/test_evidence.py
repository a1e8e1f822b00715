import numpy as np
import pytest

from state.evaluation.decisions import Decisions
from state.evaluation.evidence import OffPolicyError, gather, gather_plan
from state.evaluation.probabilities import probabilities
from state.policy.context import CONTEXT_SIZE
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.learned import Learned
from state.policy.learning import known_of
from state.policy.linear_ts import LinearTS
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.posterior.beliefs import Beliefs, prior
from tests.state.evaluation.logged import world

WARM, RANDOM, SHARP = Softmax(temperature=0.3), Uniform(), Softmax(temperature=0.2)
ARMS = [(WARM, 0.8), (RANDOM, 0.2)]
LOG = world(4_000, ARMS)
KNOWN = [WARM, RANDOM]


def stiff(decisions: Decisions, arm: int) -> Decisions:
    """The log, with one arm's propensities all 1."""
    its = (decisions.arms == arm)[:, None]
    return decisions._replace(propensities=np.where(its, 1.0, decisions.propensities))


def test_weights_of_a_known_mixture_are_the_balance_heuristic() -> None:
    found = gather(LOG, SHARP, arms=KNOWN)
    assert found.balanced
    assert found.disagreeing == 0
    row = 17
    count, slate = int(LOG.drawn.counts[row]), LOG.drawn.chosen[row].tolist()
    scores = LOG.drawn.scores[row, :count]
    shares = [(LOG.arms == arm).mean() for arm in range(2)]

    def prefix(policy, depth: int) -> float:
        return float(np.prod([policy.distribution(scores, slate[:at])[slate[at]] for at in range(depth)]))

    for depth in (1, 2, 3):
        mixed = shares[0] * prefix(WARM, depth) + shares[1] * prefix(RANDOM, depth)
        assert found.weights[row, depth - 1] == pytest.approx(prefix(SHARP, depth) / mixed)


def test_weights_of_unknown_policies_are_by_the_logged_propensities() -> None:
    found = gather(LOG, SHARP, arms=[WARM])
    assert not found.balanced
    row = 5
    ratio = SHARP.distribution(LOG.drawn.scores[row, : LOG.drawn.counts[row]], [])[LOG.drawn.chosen[row, 0]]
    assert found.weights[row, 0] == pytest.approx(ratio / LOG.propensities[row, 0])


def test_the_mixture_has_smaller_weights_than_single_propensities() -> None:
    together, alone = gather(LOG, SHARP, arms=KNOWN), gather(LOG, SHARP)
    assert together.weights.max() < alone.weights.max()
    assert together.weights.mean(axis=0) == pytest.approx(1, abs=0.1)


def test_a_policy_alone_in_its_log_weighs_every_slate_alike() -> None:
    own = world(500, [(WARM, 1.0)])
    for arms in ([], [WARM]):
        found = gather(own, WARM, arms=arms)
        assert found.weights == pytest.approx(np.ones_like(found.weights))
        assert found.terms["ips"].value == pytest.approx(own.rewards.sum(axis=1).mean())
        assert found.terms["snips"].value == pytest.approx(own.rewards.sum(axis=1).mean())


def test_propensities_that_contradict_their_policy_are_counted() -> None:
    wrong = LOG._replace(propensities=np.where(np.arange(LOG.rows)[:, None] < 7, 0.5, LOG.propensities))
    assert gather(wrong, SHARP, arms=KNOWN).disagreeing == 7


def test_a_policy_that_left_nothing_to_chance_judges_nobody() -> None:
    found = gather(stiff(LOG, 0), SHARP, arms=KNOWN)
    assert found.deterministic == (LOG.arm_names[0],)
    assert set(found.decisions.arms.tolist()) == {1}
    assert found.everything.rows == LOG.rows


def test_a_policy_that_left_nothing_to_chance_still_judges_itself() -> None:
    own = stiff(world(300, [(WARM, 1.0)]), 0)
    assert gather(own, WARM).decisions.rows == 300


def test_a_log_without_any_chance_is_refused_with_what_to_do() -> None:
    with pytest.raises(OffPolicyError, match=r"probability 1.*FRESHSLATE_RANDOM_SHARE"):
        gather(stiff(stiff(LOG, 0), 1), SHARP)


def test_a_log_without_slates_is_refused_with_what_to_do() -> None:
    with pytest.raises(OffPolicyError, match="FRESHSLATE_LOG_CANDIDATES"):
        gather(LOG.taken(np.empty(0, np.int32)), SHARP)


def test_a_mix_is_worth_the_shares_of_its_policies() -> None:
    judged = [(SHARP, 0.75), (RANDOM, 0.25)]
    mixed = gather_plan(LOG, {"": judged}, arms=KNOWN)
    parts = [gather(LOG, policy, arms=KNOWN) for policy, _ in judged]
    for name, tolerance in (("ips", 1e-9), ("snips", 0.02), ("dr", 0.02)):
        wanted = sum(share * part.terms[name].value for (_, share), part in zip(judged, parts, strict=True))
        assert mixed.terms[name].value == pytest.approx(wanted, rel=tolerance)
    assert mixed.weights == pytest.approx(0.75 * parts[0].weights + 0.25 * parts[1].weights)


def test_a_share_of_0_serves_nobody() -> None:
    mixed = gather_plan(LOG, {"": [(SHARP, 1.0), (RANDOM, 0.0)]}, arms=KNOWN)
    assert mixed.terms["dr"].value == gather(LOG, SHARP, arms=KNOWN).terms["dr"].value


def in_scenarios(decisions: Decisions, first: int) -> Decisions:
    """The log as of two scenarios: `feed` up to row `first`, then `video`."""
    numbers = (np.arange(decisions.rows) >= first).astype(np.int32)
    return decisions._replace(scenarios=numbers, scenario_names=("feed", "video"))


def test_each_slate_is_judged_under_the_policies_of_its_scenario() -> None:
    log = in_scenarios(LOG, 1_500)
    found = gather_plan(log, {"": [(SHARP, 1.0)], "video": [(RANDOM, 0.5), (WARM, 0.5)]}, arms=KNOWN)
    feed, video = (
        log.taken(np.arange(1_500, dtype=np.int32)),
        log.taken(np.arange(1_500, 4_000, dtype=np.int32)),
    )
    alone = gather(feed, SHARP, arms=KNOWN)
    mixed = gather_plan(video, {"": [(RANDOM, 0.5), (WARM, 0.5)]}, arms=KNOWN)
    assert found.weights == pytest.approx(np.vstack([alone.weights, mixed.weights]))
    wanted = 0.375 * alone.terms["ips"].value + 0.625 * mixed.terms["ips"].value
    assert found.terms["ips"].value == pytest.approx(wanted)


def test_scenarios_with_arms_of_their_own_have_mixtures_of_their_own() -> None:
    order = np.argsort(LOG.arms, kind="stable").astype(np.int32)
    apart = in_scenarios(LOG.taken(order), int((LOG.arms == 0).sum()))
    found = gather(apart, SHARP, arms=KNOWN)
    assert found.balanced
    assert found.weights == pytest.approx(gather(apart, SHARP).weights, rel=1e-5)


def test_progress_is_told_until_the_end() -> None:
    told: list[tuple[int, int]] = []
    gather(LOG, EpsilonGreedy(), on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (LOG.rows, LOG.rows)


def test_the_same_seed_gives_the_same_estimates() -> None:
    first, again, other = (gather(LOG, SHARP, seed=seed).terms["dr"].value for seed in (1, 1, 2))
    assert first == again
    assert first != other


def believing(*means: float) -> Beliefs:
    """Beliefs that differ between all scenarios together and `video`."""
    names = ("", "video")[: len(means)]
    return Beliefs(
        1,
        {
            name: prior()._replace(mean=np.full(CONTEXT_SIZE, mean, np.float32))
            for name, mean in zip(names, means, strict=True)
        },
    )


@pytest.mark.parametrize(
    "policy", [LinearTS(epsilon=0.5), Learned(Softmax(temperature=0.5))], ids=lambda p: p.name
)
def test_a_learning_policy_is_judged_by_the_beliefs_of_each_scenario(policy) -> None:
    log, beliefs = in_scenarios(LOG, 1_500), believing(1.0, -1.0)
    found = gather(log, policy, arms=KNOWN, beliefs=beliefs)
    said = np.empty_like(log.propensities)
    for name, rows in (("feed", np.arange(1_500)), ("video", np.arange(1_500, 4_000))):
        known = known_of(beliefs, name)
        said[rows] = probabilities(policy, log.drawn.taken(rows), contexts=log.contexts[rows], known=known)
    mixture = gather(log, SHARP, arms=KNOWN)
    below = probabilities(SHARP, log.drawn).cumprod(axis=1) / mixture.weights
    assert found.weights == pytest.approx(said.cumprod(axis=1) / below, rel=1e-6)
    assert gather(log, policy, arms=KNOWN).terms["dr"].value != found.terms["dr"].value


def test_a_logged_learning_policy_is_never_asked_what_it_would_have_said() -> None:
    class Learner(LinearTS):
        """Refuses to answer."""

        def choose_contexts(self, *args, **options):
            raise AssertionError

        distribution_of = appoint = choose_contexts

    asleep = Learner()
    names = (f"{asleep.name}/{asleep.version}", LOG.arm_names[1])
    log = LOG._replace(arm_names=names)
    found = gather(log, SHARP, arms=[asleep, RANDOM])
    assert not found.balanced
    assert found.weights == pytest.approx(gather(log, SHARP).weights)
