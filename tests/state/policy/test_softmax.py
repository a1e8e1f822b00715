import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.policy.base import choose
from state.policy.softmax import MIN_TEMPERATURE, Softmax

SCORES = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=80).map(
    lambda scores: sorted(scores, reverse=True)
)


def exact(scores, temperature, chosen):
    """Plackett-Luce propensities of a slate, in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        top = Decimal(max(scores))
        weights = [
            ((Decimal(s) / top - 1) / Decimal(temperature)).exp() if top else Decimal(1) for s in scores
        ]
        left = set(range(len(scores)))
        result = []
        for index in chosen:
            result.append(weights[index] / sum(weights[i] for i in left))
            left.remove(index)
        return result


@pytest.mark.parametrize("temperature", [0.0, -1.0, 0.0124, math.nan, math.inf])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature must be a number from 0\.0125 up.*got"):
        Softmax(temperature=temperature)


@pytest.mark.parametrize("temperature", [MIN_TEMPERATURE, 0.05, 0.15, 1.0, 1e9])
@pytest.mark.parametrize(
    "scores",
    [
        [5.0, 3.0, 3.0, 1.0, 0.0],
        [1.0] + [0.0] * 59,
        [0.0] * 7,
        [1.0, 1.0 - 1e-12, 1e-300],
        [5e-324, 0.0],
        (0.9 ** np.arange(60)).tolist(),
    ],
)
def test_propensities_are_those_of_60_digit_arithmetic(scores, temperature):
    policy = Softmax(temperature=temperature)
    for seed in range(20):
        choice = choose(policy, np.array(scores), slots=len(scores), seed=seed)
        wanted = [float(p) for p in exact(scores, temperature, choice.indices.tolist())]
        np.testing.assert_allclose(choice.propensities, wanted, rtol=2e-7)


@given(SCORES, st.floats(MIN_TEMPERATURE, 1e3), st.integers(0, 2**53 - 1))
def test_no_propensity_leaves_the_range_of_a_probability(scores, temperature, seed):
    choice = choose(Softmax(temperature=temperature), np.array(scores), slots=10, seed=seed)
    assert (choice.propensities > 0).all()
    assert (choice.propensities <= 1).all()


@pytest.mark.parametrize("taken", [[], [0], [0, 1]])
def test_even_the_worst_candidate_at_the_lowest_temperature_has_a_float32_propensity(taken):
    scores = np.zeros(1000)
    scores[:3] = 1.0
    distribution = Softmax(temperature=MIN_TEMPERATURE).distribution(scores, taken)
    assert np.float32(distribution[-1]) >= np.finfo(np.float32).smallest_normal


@given(SCORES, st.floats(0.001, 1000.0))
def test_only_ratios_of_scores_count(scores, factor):
    policy = Softmax(temperature=0.15)
    at_once = policy.distribution(np.array(scores), [])
    scaled = policy.distribution(np.array(scores) * factor, [])
    np.testing.assert_allclose(at_once, scaled, rtol=1e-9)


def test_the_slate_is_the_gumbel_top_k_of_the_same_random_numbers():
    scores, temperature, seed = 0.8 ** np.arange(30), 0.15, 99
    gumbel = [-math.log(-math.log(u)) for u in uniforms(seed, len(scores))]
    perturbed = scores / scores[0] / temperature + gumbel
    choice = choose(Softmax(temperature=temperature), scores, slots=12, seed=seed)
    assert choice.indices.tolist() == np.argsort(-perturbed)[:12].tolist()


def test_a_hotter_policy_gives_the_tail_more():
    scores = np.array([1.0, 0.5, 0.1])
    tails = [Softmax(temperature=t).distribution(scores, [])[2] for t in (0.05, 0.15, 0.5, 5.0)]
    assert tails == sorted(tails)


def test_by_default_a_clear_best_dominates_and_the_tail_stays_possible():
    distribution = Softmax().distribution(np.array([1.0, 0.5, 0.4, 0.3] + [0.1] * 56), [])
    assert distribution[0] > 0.75
    assert distribution[-1] > 0.001


def test_the_callers_scores_stay_as_they_are():
    scores = np.array([3.0, 2.0, 1.0])
    choose(Softmax(), scores, slots=2, seed=1)
    assert scores.tolist() == [3.0, 2.0, 1.0]


def test_any_array_of_scores_draws_the_same_from_one_compiled_kernel():
    wide = np.array([[8.0, 0.0], [4.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    frozen = wide[:, 0].copy()
    frozen.flags.writeable = False
    policy = Softmax()
    drawn = [
        choose(policy, scores, slots=3, seed=11).indices.tolist()
        for scores in (wide[:, 0], frozen, wide[:, 0].astype(np.float32))
    ]
    assert drawn[0] == drawn[1] == drawn[2]


def uniforms(seed, n):
    """Splitmix64 in plain integers, apart from the kernels."""
    mask, numbers = (1 << 64) - 1, []
    for i in range(1, n + 1):
        x = (seed + i * 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        numbers.append((((x ^ (x >> 31)) >> 12) + 0.5) * 2.0**-52)
    return numbers
