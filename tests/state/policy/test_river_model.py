"""The model of river under the contract, before and after it is taught."""

from functools import cache

import numpy as np
import pytest

from state.contracts.learning import LearningPolicyContract, candidates_of, known_of_world, one
from state.policy.context import CONTEXT_SIZE
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.river_model import LEAST_EXAMPLES, RiverLearner, RiverModel, learners_of
from state.policy.squarecb import SquareCB
from state.policy.uniform import Uniform

LINEAR = "linear_model.LinearRegression"


def examples(count, seed=1):
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, 256, (count, CONTEXT_SIZE)).astype(np.uint8)
    contexts[:, 0] = 255
    return contexts


def taught(model=LINEAR, parameters=None, count=LEAST_EXAMPLES):
    """A model that knows that the fifth number is what counts."""
    learner = RiverLearner(model, parameters or {})
    for context in examples(count):
        learner.learn(context / 255, context[4] / 255, 1.0)
    return learner


@cache
def well_taught():
    """One for all tests that teach it no more."""
    return taught()


class TestRiverModel(LearningPolicyContract):
    draws = 300
    """Candidates are predicted one at a time, in Python."""

    @pytest.fixture(params=[SquareCB(gamma=20.0), EpsilonGreedy(epsilon=0.3)], ids=lambda inner: inner.name)
    def policy(self, request):
        return RiverModel(well_taught(), request.param)


def test_before_it_is_taught_it_goes_by_the_scores_and_then_by_what_it_learned():
    contexts, scores = candidates_of(2, 12)
    learner = taught(count=LEAST_EXAMPLES - 1)
    policy = RiverModel(learner, EpsilonGreedy(epsilon=0.01))
    best = int(contexts[:, 4].argmax())
    assert best != 0
    first = policy.distribution_of(contexts, scores, [], known_of_world(1))
    assert first.argmax() == 0
    learner.learn(examples(1)[0] / 255, 0.5, 1.0)
    then = policy.distribution_of(contexts, scores, [], known_of_world(1))
    assert then.argmax() == best
    drawn = one(policy, contexts, scores, known_of_world(1))
    assert drawn.propensities[0] == np.float32(then[drawn.indices[0]])


def test_a_classifier_learns_whether_there_was_a_reward():
    learner = RiverLearner("linear_model.LogisticRegression", {})
    for context in examples(3000):
        learner.learn(context / 255, 5.0 if context[4] > 128 else 0.0, 1.0)
    low, high = examples(2)
    low[4], high[4] = 0, 255
    said = learner.predict(np.stack([low, high]))
    assert 0.0 <= said[0] < 0.5 < said[1] <= 1.0


def test_a_weight_counts_as_so_many_examples_where_the_model_takes_one():
    heavy, light = (RiverLearner(LINEAR, {}) for _ in range(2))
    context = examples(1)
    heavy.learn(context[0] / 255, 1.0, 5.0)
    light.learn(context[0] / 255, 1.0, 1.0)
    assert heavy.predict(context)[0] > light.predict(context)[0] > 0.0


def test_a_snapshot_goes_on_where_it_was_left():
    learner, other = taught(), RiverLearner(LINEAR, {})
    other.restore(learner.snapshot())
    contexts = examples(20, seed=9)
    assert other.count == learner.count
    for each in (learner, other):
        each.learn(contexts[0] / 255, 0.3, 1.0)
    assert other.predict(contexts).tolist() == learner.predict(contexts).tolist()


def test_a_snapshot_of_another_model_is_refused():
    with pytest.raises(ValueError, match="and not"):
        RiverLearner(LINEAR, {"l2": 0.5}).restore(taught().snapshot())


def test_what_is_not_finite_is_predicted_as_nothing():
    learner = RiverLearner(LINEAR, {})
    learner._model.predict_one = lambda _: float("inf")
    assert learner.predict(examples(2)).tolist() == [0.0, 0.0]


def test_policies_with_equal_models_are_taught_once():
    learner = RiverLearner(LINEAR, {})
    policies = [RiverModel(learner, SquareCB()), Uniform(), RiverModel(learner, EpsilonGreedy())]
    assert learners_of(policies) == {learner.spec: learner}
    assert learners_of([Uniform()]) == {}


def test_without_river_the_error_says_what_to_install(monkeypatch):
    import importlib

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"pip install 'freshslate\[river\]'"):
        RiverLearner(LINEAR, {})
