import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.event import Origin
from state.seeds import SEED_BITS, advance, log_salt, mixed, seed_of, seeds_of, uniform

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15

# The published output of splitmix64 for seed 1234567.
VECTORS = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_the_stream_is_the_published_splitmix64():
    state = np.uint64(1234567)
    drawn = []
    for _ in VECTORS:
        state = np.uint64(advance(state))
        drawn.append(int(mixed(state)))
    assert drawn == VECTORS


def test_seeds_are_the_same_on_every_machine():
    # Written down once: a change here means that no older log can be drawn again.
    assert [seed_of("events", 3, 41), seed_of("events", 3, 42)] == [7010063472241990, 8339913302778643]


def test_seeds_do_not_depend_on_the_process():
    code = "from state.seeds import seed_of; print(seed_of('clicks', 7, 123456789))"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    other = subprocess.run(
        command, cwd=root, env={"PYTHONHASHSEED": "5"}, capture_output=True, text=True, check=True
    )
    assert int(other.stdout) == seed_of("clicks", 7, 123456789)


@given(st.text(min_size=1), st.integers(0, 10_000), st.integers(0, 2**63 - 1))
def test_a_seed_is_the_top_of_the_partitions_stream(topic, partition, offset):
    seed = seed_of(topic, partition, offset)
    state = np.uint64((log_salt(topic, partition) + offset * GAMMA) & MASK)
    assert 0 <= seed < 2**SEED_BITS
    assert seed == int(mixed(state)) >> (64 - SEED_BITS)


def test_every_record_of_several_topics_has_its_own_seed():
    places = [(topic, p, offset) for topic in ("a", "b", "a:1") for p in range(12) for offset in range(1000)]
    assert len({seed_of(*place) for place in places}) == len(places)


@pytest.mark.parametrize("bits", [0, MASK])
def test_a_uniform_number_is_never_0_nor_1(bits):
    number = uniform(np.uint64(_unmixed(bits)))
    assert 0.0 < number < 1.0
    assert number == (2.0**-53 if bits == 0 else 1.0 - 2.0**-53)


def test_uniform_numbers_of_consecutive_records_fill_the_interval_evenly():
    numbers = np.array(
        [uniform(np.uint64(advance(np.uint64(seed_of("events", 0, i))))) for i in range(20_000)]
    )
    counts, _ = np.histogram(numbers, bins=20, range=(0.0, 1.0))
    chi_square = float(((counts - 1000.0) ** 2 / 1000.0).sum())
    assert chi_square < 43.8  # 99.9 % quantile at 19 degrees of freedom
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 4 / np.sqrt(len(numbers))


def _unmixed(bits: int) -> int:
    """State whose mixed bits these are: splitmix64's mix run backwards."""

    def unshift(x: int, by: int) -> int:
        result = x
        for _ in range(64 // by + 1):
            result = x ^ (result >> by)
        return result

    x = unshift(bits, 31)
    x = x * pow(0x94D049BB133111EB, -1, 1 << 64) & MASK
    x = unshift(x, 27)
    x = x * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & MASK
    return unshift(x, 30)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["events", "clicks"]), st.integers(0, 99), st.integers(0, 2**63 - 1)))
)
def test_seeds_of_many_places_are_those_of_each(places):
    seeds = seeds_of([Origin(*place, time=0) for place in places])
    assert seeds.tolist() == [seed_of(*place) for place in places]
