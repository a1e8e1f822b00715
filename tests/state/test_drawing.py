import numpy as np
import pytest

from state.drawing import Asking, draw
from state.policy.context import contexts_of
from state.policy.learned import Learned
from state.policy.learning import expected_by, known_of
from state.policy.linear_ts import LinearTS
from state.policy.softmax import Softmax
from state.policy.squarecb import SquareCB
from state.posterior.beliefs import PRIOR, Beliefs
from state.reranking.rerank import NO_FACTORS
from state.reranking.rulebook import Reranked
from state.retrieval.blend import Ranked

N = 24


@pytest.fixture(scope="module")
def reranked():
    rng = np.random.default_rng(4)
    contributions = rng.random((N, 12, 8)).astype(np.float32)
    scores = contributions.sum(axis=2)
    order = np.argsort(-scores, axis=1)
    ranked = Ranked(
        np.tile(np.arange(12, dtype=np.int32), (N, 1)),
        np.take_along_axis(scores, order, axis=1),
        np.take_along_axis(contributions, order[:, :, np.newaxis], axis=1),
        rng.integers(0, 13, N).astype(np.int32),
    )
    return Reranked(ranked, NO_FACTORS, None, "", np.zeros(0, np.int32), np.zeros(0, np.int32))


def beliefs_with(*scenarios):
    """The prior for all, and for these scenarios that the third source alone earns anything."""
    prior = PRIOR.by_scenario[""]
    mean = np.zeros_like(prior.mean)
    mean[5] = 0.5
    own = prior._replace(mean=mean, root=np.zeros_like(prior.root))
    return Beliefs(1, {"": prior} | dict.fromkeys(scenarios, own))


def rows_of(drawn, row):
    k = drawn.choices.sizes[row]
    return drawn.choices.indices[row, :k].tolist(), drawn.choices.propensities[row, :k].tolist()


def ask(policies, scenarios):
    return Asking(policies, scenarios, np.arange(N, dtype=np.int64) + 77)


def test_a_slate_is_the_same_whoever_draws_beside_it(reranked):
    contexts, beliefs = contexts_of(reranked.ranked), beliefs_with("video")
    arms = [LinearTS(), Softmax(), Learned(SquareCB())]
    policies = [arms[row % 3] for row in range(N)]
    scenarios = ["video" if row % 2 else "home" for row in range(N)]
    mixed = draw(ask(policies, scenarios), reranked, 5, contexts=contexts, beliefs=beliefs)
    for arm in arms:
        for scenario in ("video", "home"):
            alone = draw(ask([arm] * N, [scenario] * N), reranked, 5, contexts=contexts, beliefs=beliefs)
            rows = [row for row in range(N) if policies[row] is arm and scenarios[row] == scenario]
            assert rows
            for row in rows:
                assert rows_of(mixed, row) == rows_of(alone, row)


def test_a_policy_goes_by_the_belief_of_its_scenario(reranked):
    contexts, beliefs = contexts_of(reranked.ranked), beliefs_with("video")
    policy = LinearTS(epsilon=1e-6)
    drawn = {
        scenario: draw(ask([policy] * N, [scenario] * N), reranked, 1, contexts=contexts, beliefs=beliefs)
        for scenario in ("video", "home")
    }
    for row in np.flatnonzero(reranked.ranked.counts > 1):
        best = contexts[row, : reranked.ranked.counts[row], 5].argmax()
        assert drawn["video"].choices.indices[row, 0] == best
    assert (drawn["video"].choices.indices[:, 0] != drawn["home"].choices.indices[:, 0]).any()


def test_what_is_expected_is_said_of_items_of_policies_that_learn(reranked):
    contexts, beliefs = contexts_of(reranked.ranked), beliefs_with("video")
    policies = [LinearTS() if row % 2 else Softmax() for row in range(N)]
    drawn = draw(ask(policies, ["video"] * N), reranked, 5, contexts=contexts, beliefs=beliefs)
    learns = np.repeat(np.arange(N) % 2 == 1, drawn.choices.sizes)
    assert np.isnan(drawn.expected[~learns]).all()
    belief = known_of(beliefs, "video").belief
    assert drawn.expected[learns].tolist() == expected_by(belief, drawn.contexts[learns]).tolist()
    of_scores = draw(ask([Softmax()] * N, [""] * N), reranked, 5, contexts=contexts, beliefs=beliefs)
    assert of_scores.expected.size == 0


def test_without_contexts_policies_over_scores_draw_as_with_them(reranked):
    policies = [Softmax()] * N
    with_them, without = (
        draw(ask(policies, [""] * N), reranked, 5, contexts=contexts, beliefs=PRIOR)
        for contexts in (contexts_of(reranked.ranked), None)
    )
    for row in range(N):
        assert rows_of(with_them, row) == rows_of(without, row)
    assert without.contexts.size == without.expected.size == 0


def test_contexts_of_the_items_are_in_the_order_of_the_slates(reranked):
    contexts = contexts_of(reranked.ranked)
    drawn = draw(ask([Softmax()] * N, [""] * N), reranked, 5, contexts=contexts, beliefs=PRIOR)
    expected = [contexts[row, index] for row in range(N) for index in rows_of(drawn, row)[0]]
    assert np.array_equal(drawn.contexts, np.array(expected))
