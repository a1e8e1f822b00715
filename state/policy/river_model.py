"""Any regressor or classifier of river as the reward model of a policy with exact propensities."""

import importlib
import inspect
import pickle  # what is read is our own snapshot
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from state.policy.base import Policy, Scores, version_of
from state.policy.context import CONTEXT, FULL, Contexts
from state.policy.learned import Predicting
from state.policy.learning import Known, expected_by
from state.retrieval.arrays import Floats

LEAST_EXAMPLES: Final = 1000
"""Examples that a model has to have learned from before slates go by it."""


class RiverLearner:
    """A model of river that learns rewards from contexts, one exposure after the other.

    A context is a dict of its numbers by name, each in [0, 1]. A classifier learns whether an exposure earned
    more than 0, and predicts the probability of that; a regressor learns and predicts the reward.

    Args:
        model: Module and class below `river`, such as `linear_model.LinearRegression`.
        parameters: Of the class; numbers, text and booleans.

    Raises:
        ValueError: river is not installed, or this is no model of it with these parameters.

    Examples:
        >>> learner = RiverLearner("linear_model.LinearRegression", {"l2": 0.001})
        >>> context = np.full((1, len(CONTEXT)), 255, np.uint8)
        >>> for _ in range(100):
        ...     learner.learn([1.0] * len(CONTEXT), 1.0, 1.0)
        >>> round(float(learner.predict(context)[0]), 1), learner.count
        (1.0, 100)
    """

    def __init__(self, model: str, parameters: Mapping[str, object]) -> None:
        self.spec: Final = msgspec.json.encode([model, parameters], order="deterministic").decode()
        """Equal texts are equal models, before they learn."""
        self.count = 0
        """Examples it has learned from."""
        self._model: Any = _built(model, parameters)
        self._is_classifier = hasattr(self._model, "predict_proba_one")
        self._takes_weight = "w" in inspect.signature(self._model.learn_one).parameters

    def learn(self, x: Sequence[float], reward: float, weight: float) -> None:
        """Learn one matured exposure.

        Args:
            x: [CONTEXT_SIZE] its context, 0 to 1.
            reward: What it earned.
            weight: Above 0; left out where the model takes none.
        """
        target = reward > 0.0 if self._is_classifier else reward
        if self._takes_weight:
            self._model.learn_one(dict(zip(CONTEXT, x, strict=True)), target, w=weight)
        else:
            self._model.learn_one(dict(zip(CONTEXT, x, strict=True)), target)
        self.count += 1

    def predict(self, contexts: Contexts) -> Floats:
        """Expected reward [n] of each context [n, CONTEXT_SIZE]; 0 where the model says nothing finite."""
        if self._is_classifier:
            ask = self._model.predict_proba_one
            said = [ask(_named(context)).get(True, 0.0) for context in contexts]
        else:
            said = [self._model.predict_one(_named(context)) for context in contexts]
        found = np.array(said, np.float64).astype(np.float32)
        return np.where(np.isfinite(found), found, np.float32(0.0))

    def snapshot(self) -> bytes:
        """All that it has learned, for `restore`."""
        return pickle.dumps((self.spec, self.count, self._model))

    def restore(self, state: bytes) -> None:
        """Go on as the learner that gave this snapshot.

        It is unpickled, so it has to come from this learner's own disk.

        Raises:
            ValueError: It is of another model.
        """
        spec, count, model = pickle.loads(state)
        if spec != self.spec:
            message = f"this is what {spec} has learned, and not {self.spec}"
            raise ValueError(message)
        self.count, self._model = count, model


class RiverModel(Predicting):
    """Lets a policy over scores draw from the order in which a model of river sees the candidates.

    The model predicts the reward of each candidate, and `inner` (epsilon-greedy or SquareCB) draws from that
    order with exact propensities. Before the model has learned from 1,000 examples, slates go by the scores.

    river is Python: it predicts some 3 us a candidate and more, where `linear_ts` takes 0.15
    (docs/policies.md). Give it a share of users, and fewer candidates.

    Args:
        learner: Predicts; whoever folds the log teaches it.
        inner: Draws the slates.

    References:
        Montiel et al. (2021), River: machine learning for streaming data in Python, JMLR 22.
    """

    name: Final = "river_model"

    def __init__(self, learner: RiverLearner, inner: Policy) -> None:
        super().__init__(inner)
        self.learner = learner
        self.version: Final = version_of(f"river_model {learner.spec} {inner.version}", 1)

    @property
    def is_taught(self) -> bool:
        """Whether the model has learned from enough examples to go by."""
        return self.learner.count >= LEAST_EXAMPLES

    def predictions(self, contexts: Contexts, scores: Scores, known: Known) -> Floats:
        """The model's; the scores before it is taught. See `Predicting.predictions`."""
        if not self.is_taught:
            return np.asarray(scores, np.float32)
        return self.expected(contexts, known)

    def expected(self, contexts: Contexts, known: Known) -> Floats:
        """The model's prediction; the belief's before it is taught."""
        if self.is_taught:
            return self.learner.predict(contexts)
        return expected_by(known.belief, contexts)


def learners_of(policies: Iterable[Policy]) -> dict[str, RiverLearner]:
    """The models of these policies that want to be taught, by what they are."""
    found = [policy.learner for policy in policies if isinstance(policy, RiverModel)]
    return {learner.spec: learner for learner in found}


def _named(context: Contexts) -> dict[str, float]:
    return {name: byte / FULL for name, byte in zip(CONTEXT, context.tolist(), strict=True)}


def _built(model: str, parameters: Mapping[str, object]) -> Any:
    """Import and build a model of river."""
    module, _, name = model.rpartition(".")
    try:
        importlib.import_module("river")
    except ModuleNotFoundError:
        message = "model: river is not installed; pip install 'freshslate[river]'"
        raise ValueError(message) from None
    try:
        kind = getattr(importlib.import_module(f"river.{module}"), name)
    except (ImportError, AttributeError):
        message = (
            f"model: river has no {model!r}; write module and class, such as linear_model.LinearRegression"
        )
        raise ValueError(message) from None
    try:
        built = kind(**parameters)
    except Exception as error:
        message = f"parameters: {model} does not take {dict(parameters)!r}: {error}"
        raise ValueError(message) from None
    if not hasattr(built, "learn_one") or not isinstance(built, _kinds()):
        message = f"model: {model} is neither a regressor nor a classifier of river"
        raise ValueError(message)
    return built


def _kinds() -> tuple[type, ...]:
    base = importlib.import_module("river.base")
    return base.Regressor, base.Classifier
