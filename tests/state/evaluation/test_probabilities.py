import numpy as np
import pytest

from state.evaluation.probabilities import Drawn, expectations, probabilities
from state.policy.base import Policy
from state.policy.context import CONTEXT_SIZE
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.greedy import Greedy
from state.policy.learned import Learned
from state.policy.learning import NOTHING_KNOWN, Known
from state.policy.linear_ts import LinearTS
from state.policy.softmax import Softmax
from state.policy.source_mix import SourceMix
from state.policy.squarecb import SquareCB
from state.policy.uniform import Uniform
from state.posterior.beliefs import prior

POLICIES = [
    Softmax(),
    Softmax(temperature=0.0125),
    EpsilonGreedy(epsilon=0.3),
    EpsilonGreedy(epsilon=1e-6),
    Uniform(),
    Greedy(),
    SquareCB(),
    SquareCB(gamma=0.0),
]


class Plain:
    """A policy of somebody else, which hides the one inside."""

    name, version = "plain", "00000000"

    def __init__(self, inner: Policy) -> None:
        self.distribution = inner.distribution
        self.choose_all = inner.choose_all


def drawn_by(policy: Policy, rows: int = 60, slots: int = 6) -> Drawn:
    """Slates of some rows with 1 to 30 candidates; ties, zeros and short slates among them."""
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 31, rows).astype(np.int32)
    scores = np.zeros((rows, 30), np.float32)
    for row, count in enumerate(counts):
        scores[row, :count] = -np.sort(-np.round(rng.gamma(1.0, 1.0, count), row % 3))
    scores[3] = 0
    choices = policy.choose_all(scores, counts, slots, rng.integers(0, 2**53, rows))
    return Drawn(scores, counts, choices.indices, choices.sizes)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{policy.name} {policy.version}")
@pytest.mark.parametrize("logged", [Uniform(), Softmax()], ids=["from random", "from softmax"])
def test_the_fast_way_says_what_the_distribution_says(policy: Policy, logged: Policy) -> None:
    drawn = drawn_by(logged)
    fast, slow = probabilities(policy, drawn), probabilities(Plain(policy), drawn)
    np.testing.assert_allclose(fast, slow, rtol=1e-6, atol=1e-12)
    beyond = np.arange(6) >= drawn.sizes[:, None]
    assert beyond.any()
    assert (fast[beyond] == 1).all()


@pytest.mark.parametrize("policy", [Softmax(), EpsilonGreedy(epsilon=0.2), Uniform()], ids=lambda p: p.name)
def test_a_policy_finds_its_own_slates_as_probable_as_it_logged_them(policy: Policy) -> None:
    rng = np.random.default_rng(6)
    scores = -np.sort(-rng.random((200, 40)), axis=1).astype(np.float32)
    counts = np.full(200, 40, np.int32)
    choices = policy.choose_all(scores, counts, 5, rng.integers(0, 2**53, 200))
    said = probabilities(policy, Drawn(scores, counts, choices.indices, choices.sizes))
    np.testing.assert_allclose(said, choices.propensities, rtol=2e-7)


def test_greedy_takes_the_best_left() -> None:
    drawn = Drawn(
        np.array([[3, 2, 1]] * 3, np.float32),
        np.full(3, 3, np.int32),
        np.array([[0, 1], [0, 2], [1, 0]], np.int32),
        np.full(3, 2, np.int32),
    )
    assert probabilities(Greedy(), drawn).tolist() == [[1, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{policy.name} {policy.version}")
def test_means_are_over_what_the_policy_would_put_there(policy: Policy) -> None:
    drawn = drawn_by(Uniform(), rows=30)
    values = np.random.default_rng(7).random((30, 30, 6)).astype(np.float32)
    said, means = expectations(policy, drawn, values)
    slow_said, slow = expectations(Plain(policy), drawn, values)
    np.testing.assert_allclose(means, slow, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(said, slow_said, rtol=1e-6, atol=1e-12)
    assert (means[np.arange(6) >= drawn.sizes[:, None]] == 0).all()


def test_rows_can_be_taken() -> None:
    drawn = drawn_by(Uniform())
    part = drawn.taken(slice(10, 20))
    np.testing.assert_array_equal(probabilities(Softmax(), part), probabilities(Softmax(), drawn)[10:20])


LEARNING = [
    LinearTS(),
    LinearTS(epsilon=0.3, members=5),
    SourceMix(),
    Learned(Softmax()),
    Learned(SquareCB()),
]
KNOWN = Known(
    7, "", prior()._replace(mean=np.random.default_rng(8).normal(0, 1, CONTEXT_SIZE).astype(np.float32))
)


class PlainLearning:
    """A learning policy of somebody else."""

    name, version = "plain", "00000002"

    def __init__(self, inner) -> None:
        self.distribution_of = inner.distribution_of
        self.choose_contexts = inner.choose_contexts


def contexts_for(drawn: Drawn) -> np.ndarray:
    """Contexts at random, some candidates alike."""
    rng = np.random.default_rng(9)
    contexts = rng.integers(0, 256, (*drawn.scores.shape, CONTEXT_SIZE), dtype=np.uint8)
    contexts[:, 1::5] = contexts[:, 0::5]
    return contexts


@pytest.mark.parametrize("known", [NOTHING_KNOWN, KNOWN], ids=["nothing known", "much known"])
@pytest.mark.parametrize("policy", LEARNING, ids=lambda policy: f"{policy.name} {policy.version}")
def test_the_fast_way_of_learning_policies_says_what_the_distribution_says(policy, known: Known) -> None:
    drawn = drawn_by(Uniform())
    contexts = contexts_for(drawn)
    values = np.random.default_rng(7).random((60, 30, 6)).astype(np.float32)
    said, means = expectations(policy, drawn, values, contexts=contexts, known=known)
    slow, slow_means = expectations(PlainLearning(policy), drawn, values, contexts=contexts, known=known)
    np.testing.assert_allclose(said, slow, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(means, slow_means, rtol=1e-5, atol=1e-9)
    assert (said[np.arange(6) >= drawn.sizes[:, None]] == 1).all()


@pytest.mark.parametrize("policy", LEARNING, ids=lambda policy: f"{policy.name} {policy.version}")
def test_a_learning_policy_finds_its_own_slates_as_probable_as_it_logged_them(policy) -> None:
    shown = drawn_by(Uniform())
    contexts, seeds = contexts_for(shown), np.arange(60)
    choices = policy.choose_contexts(contexts, shown.scores, shown.counts, 5, seeds, KNOWN)
    drawn = Drawn(shown.scores, shown.counts, choices.indices, choices.sizes)
    said = probabilities(policy, drawn, contexts=contexts, known=KNOWN)
    inside = np.arange(5) < choices.sizes[:, None]
    np.testing.assert_allclose(said[inside], choices.propensities[inside], rtol=1e-5)


def test_what_is_known_decides_what_a_learning_policy_says() -> None:
    drawn = drawn_by(Uniform())
    contexts = contexts_for(drawn)
    before, after = (
        probabilities(LinearTS(), drawn, contexts=contexts, known=it) for it in (NOTHING_KNOWN, KNOWN)
    )
    assert np.abs(before - after).max() > 0.1


def test_a_learning_policy_is_not_asked_without_contexts() -> None:
    with pytest.raises(ValueError, match="linear_ts learns: it goes by contexts"):
        probabilities(LinearTS(), drawn_by(Uniform()))
