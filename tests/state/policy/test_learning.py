import numpy as np

from state.policy.learned import Learned
from state.policy.learning import NOTHING_KNOWN, expected_by, known_of, learns
from state.policy.linear_ts import LinearTS
from state.policy.softmax import Softmax
from state.posterior.beliefs import PRIOR, Beliefs


def test_a_scenario_without_a_belief_of_its_own_has_that_of_all():
    prior = PRIOR.by_scenario[""]
    own = prior._replace(count=7.0)
    beliefs = Beliefs(3, {"": prior, "video": own})
    assert known_of(beliefs, "video") == (3, "video", own)
    assert known_of(beliefs, "cart") == (3, "", prior)


def test_who_learns_is_seen_without_being_asked():
    assert learns(LinearTS())
    assert learns(Learned(Softmax()))
    assert not learns(Softmax())


def test_the_prior_expects_the_blends_share():
    contexts = np.zeros((3, 11), np.uint8)
    contexts[:, 1] = 255, 51, 0
    np.testing.assert_allclose(expected_by(NOTHING_KNOWN.belief, contexts), [1.0, 0.2, 0.0], rtol=1e-6)
