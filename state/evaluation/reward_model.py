"""What a candidate would earn at a position: a ridge regression per position, fitted on the log.

It is only a control variate for doubly robust estimates, so it is plain: linear in the candidate's context
(`state.policy.context`), one model a position. Users are divided into folds, and what is expected of a user's
slates comes from models that saw none of that user's (cross-fitting).

Sources: Hoerl, Kennard (1970), Ridge regression, Technometrics 12; Chernozhukov et al. (2018),
Double/debiased machine learning, Econometrics Journal 21, section 3.
"""

from typing import Final, NamedTuple

import numpy as np

from state.evaluation.decisions import Bytes
from state.policy.context import FULL
from state.retrieval.arrays import Doubles, Floats, Ints

FOLDS: Final = 2
RIDGE: Final = 10.0
"""Weight of the prior that all but the mean reward is 0, in observations."""


class RewardModel(NamedTuple):
    """One linear model for each position and fold of users."""

    means: Doubles
    """[folds, d, k]"""

    def of(self, contexts: Bytes, users: Ints) -> Floats:
        """[n, most, k] expected rewards of candidates with these contexts [n, most, d], at each position."""
        result = np.empty((*contexts.shape[:2], self.means.shape[2]), np.float32)
        folds = fold_of(users)
        for fold, means in enumerate(self.means):
            rows = folds == fold
            result[rows] = (contexts[rows].astype(np.float32) / FULL) @ means.astype(np.float32)
        return result


def fold_of(users: Ints) -> Ints:
    """[n] which fold of users each row belongs to; its model learned from the others."""
    return users % FOLDS


def fit_rewards(contexts: Bytes, rewards: Doubles, sizes: Ints, users: Ints) -> RewardModel:
    """Fit the models on logged items.

    Args:
        contexts: [n, k, d] of the logged items, the first of the d always full (the bias).
        rewards: [n, k]
        sizes: [n] items of each slate; what stands beyond is not looked at.
        users: [n] number of the user.
    """
    _, k, d = contexts.shape
    folds = fold_of(users)
    means = np.zeros((FOLDS, d, k))
    prior = RIDGE * np.eye(d)
    prior[0, 0] = 1e-6  # the mean reward is not shrunk
    for fold in range(FOLDS):
        for at in range(k):
            rows = (folds != fold) & (sizes > at)
            x = contexts[rows, at].astype(np.float64) / FULL
            means[fold, :, at] = np.linalg.solve(x.T @ x + prior, x.T @ rewards[rows, at])
    return RewardModel(means)
