"""Learners that want single examples rather than sums: they hear each once it has matured, in one order."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from state.posterior.config import LearningConfig
from state.posterior.examples import Examples
from state.posterior.posterior import Posterior
from state.slate import Delta, Reward

log = logging.getLogger(__name__)

_WAITING: Final = "examples"
_LEARNER: Final = "learner_"


class LearnerUnknown(ValueError):
    """A snapshot that a learner cannot go on from."""


class ExampleLearner(Protocol):
    """Learns one example at a time, as `river`'s models do."""

    def learn(self, x: Sequence[float], reward: float, weight: float, /) -> None:
        """Learn what an exposure with context x [CONTEXT_SIZE], 0 to 1, earned; `weight` such exposures."""

    def snapshot(self) -> bytes:
        """What was learned."""

    def restore(self, state: bytes) -> None:
        """Go on where `snapshot` was taken; raise anything where that is impossible."""


class Learners:
    """All of them by name, and the examples that wait. Costs nothing where there are none."""

    def __init__(self, learners: Mapping[str, ExampleLearner], config: LearningConfig) -> None:
        self._learners = learners
        self._config = config
        self._examples = Examples(config) if learners else None
        self._matured = 0

    def learn(self, deltas: Sequence[Delta]) -> None:
        """Take exposures in."""
        if self._examples is not None:
            self._examples.learn(deltas)

    def reward(self, rewards: Sequence[Reward]) -> None:
        """Take rewards in."""
        if self._examples is not None:
            self._examples.reward(rewards)

    def mature(self, posterior: Posterior) -> None:
        """Teach what has matured, which the posterior knows."""
        if self._examples is None or posterior.matured == self._matured:
            return
        self._matured = posterior.matured
        shares = posterior.arrived(np.array([float(self._config.maturity_seconds)]))[:, 0]
        for x, y, weight in self._examples.mature(posterior.matured, shares):
            for learner in self._learners.values():
                learner.learn(x, y, weight)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a snapshot; a learner that cannot say what it learned has to hear everything again."""
        if self._examples is None:
            return {}
        found = {_WAITING: self._examples.snapshot()}
        for name, learner in self._learners.items():
            try:
                found[_LEARNER + name] = learner.snapshot()
            except Exception as error:
                log.warning("learner %s is not in the snapshot: %r", name, error)
        return {name: np.frombuffer(state, np.uint8) for name, state in found.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on where `arrays` were taken.

        Raises:
            LearnerUnknown: They lack a learner, or it cannot go on.
        """
        if self._examples is None:
            return
        if missing := {_WAITING, *(_LEARNER + name for name in self._learners)} - arrays.keys():
            message = f"it holds no {min(missing)}"
            raise LearnerUnknown(message)
        try:
            self._examples.restore(arrays[_WAITING].tobytes())
            for name, learner in self._learners.items():
                learner.restore(arrays[_LEARNER + name].tobytes())
        except Exception as error:
            message = f"a learner cannot go on from it: {error!r}"
            raise LearnerUnknown(message) from error
