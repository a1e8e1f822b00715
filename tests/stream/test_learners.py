"""Learners hear what has matured, once and in one order, also across a restart."""

import json
import logging

import pytest

from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from stream.learners import Learners, LearnerUnknown
from tests.state.posterior.made import HOUR, Shown, context, delta, log, rewards

CONFIG = LearningConfig()
SHOWN = log(3, count=60, minutes=30)
LATER = Shown("later", SHOWN[-1].time + HOUR, "feed", 1, context(1))


class Listens:
    def __init__(self):
        self.heard = []

    def learn(self, x, y, weight):
        self.heard.append([list(x), y, weight])

    def snapshot(self):
        return json.dumps(self.heard).encode()

    def restore(self, state):
        self.heard = json.loads(state)


class Silent(Listens):
    def snapshot(self):
        message = "out of order"
        raise RuntimeError(message)


def fold(learners, posterior, shown):
    for fold_of in (learners, posterior):
        fold_of.learn([delta(shown)])
        fold_of.reward(rewards(shown))
    learners.mature(posterior)


def test_every_learner_hears_each_example_once_when_it_has_matured():
    first, second, posterior = Listens(), Listens(), Posterior(CONFIG)
    learners = Learners({"first": first, "second": second}, CONFIG)
    fold(learners, posterior, SHOWN)
    assert first.heard == []
    fold(learners, posterior, [LATER])
    learners.mature(posterior)
    assert len(first.heard) == len(SHOWN)
    assert second.heard == first.heard
    assert any(y for _, y, _ in first.heard)


def test_a_restart_goes_on_with_what_was_learned_and_what_waits():
    first, posterior = Listens(), Posterior(CONFIG)
    learners = Learners({"mine": first}, CONFIG)
    fold(learners, posterior, SHOWN)
    second = Listens()
    again = Learners({"mine": second}, CONFIG)
    again.restore(learners.arrays())
    fold(learners, posterior, [LATER])
    again.mature(posterior)
    assert second.heard == first.heard
    assert second.heard


def test_without_learners_nothing_is_kept():
    learners, posterior = Learners({}, CONFIG), Posterior(CONFIG)
    fold(learners, posterior, SHOWN)
    assert learners.arrays() == {}
    learners.restore({})


def test_a_learner_that_a_snapshot_does_not_know_is_told():
    learners = Learners({"other": Listens()}, CONFIG)
    with pytest.raises(LearnerUnknown, match="it holds no learner_mine"):
        Learners({"mine": Listens()}, CONFIG).restore(learners.arrays())
    with pytest.raises(LearnerUnknown, match="it holds no examples"):
        learners.restore({})


def test_a_learner_that_cannot_go_on_is_told():
    arrays = Learners({"mine": Listens()}, CONFIG).arrays()
    arrays["learner_mine"] = arrays["learner_mine"][:1]
    with pytest.raises(LearnerUnknown, match="cannot go on"):
        Learners({"mine": Listens()}, CONFIG).restore(arrays)


def test_a_learner_that_cannot_say_what_it_learned_costs_no_snapshot(caplog):
    learners = Learners({"mine": Silent(), "good": Listens()}, CONFIG)
    with caplog.at_level(logging.WARNING):
        assert learners.arrays().keys() == {"examples", "learner_good"}
    assert "learner mine is not in the snapshot" in caplog.text
