import subprocess
import sys
from bisect import bisect_right
from collections import Counter

import numpy as np
import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.shares import Shares
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform

KEYS = [f"u-{n}" for n in range(20_000)]
LEARNED, RANDOM = Softmax(), Uniform()


def halves(salt="policy"):
    return Shares([(LEARNED, 0.5), (RANDOM, 0.5)], salt)


def test_a_users_place_is_the_same_on_every_machine():
    """Another value would draw every running experiment anew."""
    assert halves().place_of("ann") == 0.8347536928243812
    assert halves().place_of("shop|ann") == 0.11657183811237126


def test_another_process_gives_the_same_policy():
    program = (
        "from tests.state.policy.test_shares import halves\n"
        "print(''.join(halves().policy_of(f'u-{n}').name[0] for n in range(200)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "".join(halves().policy_of(key).name[0] for key in KEYS[:200])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any), st.text(max_size=20))
def test_a_policy_serves_the_places_of_its_share_and_none_else(weights, key):
    policies = [EpsilonGreedy(epsilon=0.1 + 0.01 * n) for n in range(len(weights))]
    ends = np.cumsum(weights) / sum(weights)
    shares = Shares([(p, w / sum(weights)) for p, w in zip(policies, weights, strict=True)], "x")
    place = shares.place_of(key)
    assert 0.0 <= place < 1.0
    assert shares.policy_of(key) is policies[bisect_right(ends.tolist()[:-1], place)]
    assert len(shares.policies) == sum(map(bool, weights))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5])
def test_each_policy_gets_its_share_of_users(share):
    shares = Shares([(LEARNED, 1.0 - share), (RANDOM, share)], "policy")
    count = sum(shares.policy_of(key) is RANDOM for key in KEYS)
    assert abs(count - share * len(KEYS)) < 4 * (share * (1 - share) * len(KEYS)) ** 0.5


def test_a_growing_share_takes_users_and_gives_none_back():
    small, large = (Shares([(LEARNED, 1 - r), (RANDOM, r)], "policy") for r in (0.05, 0.2))
    assert all(large.policy_of(key) is RANDOM for key in KEYS if small.policy_of(key) is RANDOM)


def test_the_share_is_the_same_in_every_partition():
    """The partitioner hashes the same keys (murmur2): were the two related, a policy would own partitions."""
    inside = Counter((murmur2(key.encode()) & 0x7FFFFFFF) % 8 for key in KEYS)
    shares = halves()
    random = Counter(
        (murmur2(key.encode()) & 0x7FFFFFFF) % 8 for key in KEYS if shares.policy_of(key) is RANDOM
    )
    for partition, count in inside.items():
        assert abs(random[partition] - count / 2) < 4 * (count / 4) ** 0.5


def test_another_salt_divides_the_users_anew():
    one, other = halves("policy"), halves("layout")
    both = sum(one.policy_of(key) is RANDOM and other.policy_of(key) is RANDOM for key in KEYS)
    assert abs(both - len(KEYS) / 4) < 4 * (len(KEYS) * 3 / 16) ** 0.5


def test_a_salt_ends_where_the_key_begins():
    assert halves("ab").place_of("c") != halves("a").place_of("bc")


def test_tiny_shares_that_do_not_add_up_exactly_leave_nobody_without_a_policy():
    shares = Shares([(EpsilonGreedy(epsilon=0.1), 0.1)] * 10 + [(RANDOM, 0.0)], "x")
    assert {shares.policy_of(key).name for key in KEYS} == {"epsilon_greedy"}
    assert len(shares.policies) == 10


@pytest.mark.parametrize("shares", [[], [0.5], [0.5, 0.5 + 1e-8], [1.5, -0.5], [float("nan")], [0.0]])
def test_shares_that_are_no_division_are_refused(shares):
    with pytest.raises(ValueError, match=r"must each be in \[0, 1\] and sum to 1, not \["):
        Shares([(RANDOM, share) for share in shares], "x")
