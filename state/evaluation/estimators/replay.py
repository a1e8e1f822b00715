"""The replay method: keep the logged decisions that B might have made, and average what they earned."""

import numpy as np

from state.evaluation.estimators.terms import Terms
from state.retrieval.arrays import Doubles


def replay(rewards: Doubles, weights: Doubles, rng: np.random.Generator, *, bound: float) -> Terms:
    """Replay by rejection sampling: a row is kept with probability w / `bound`.

    What is kept is distributed as if B had drawn it, so its plain mean is unbiased; with uniform logging over
    m choices, w = m pi_B, it is Li et al.'s replayer. Assumes what IPS does, and a bound that holds: rows
    with a larger weight count too little. Wastes data (a share of 1 / bound is kept), in exchange for real
    rows that anything may be computed from, also by a policy that learns on the way.

    Args:
        rewards: [n]
        weights: [n]
        rng: Decides what is kept.
        bound: Largest possible weight, above 0.

    References:
        Li, Chu, Langford, Wang (2011), Unbiased offline evaluation of contextual-bandit-based news article
        recommendation algorithms, WSDM.
        Mandel, Liu, Brunskill, Popovic (2016), Offline evaluation of online reinforcement learning
        algorithms, AAAI.
    """
    if not bound > 0:
        message = f"the bound of the weights must be above 0, got {bound!r}"
        raise ValueError(message)
    kept = (rng.random(len(weights)) * bound < weights).astype(np.float64).reshape(-1, 1)
    return Terms(kept * rewards.reshape(-1, 1), kept, kept)
