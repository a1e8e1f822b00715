import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state.shortest import LONGEST, as_double, shortest, write_number

FLOATS = st.floats(0.0, float(np.finfo(np.float32).max), width=32)


def written(value):
    buffer = np.zeros(LONGEST, np.uint8)
    return buffer[: write_number(buffer, 0, np.float32(value))].tobytes()


@settings(max_examples=2000, deadline=None)
@given(FLOATS | st.floats(0.0, 1.0, width=32))
@example(1.1754943508222875e-38)
@example(1.401298464324817e-45)
@example(3.4028234663852886e38)
@example(0.99999994)
@example(9.999999747378752e-06)
def test_what_is_written_reads_back_to_the_same_float32(value):
    assert np.float32(msgspec.json.decode(written(value))) == np.float32(value)


@settings(max_examples=1000, deadline=None)
@given(FLOATS | st.floats(0.0, 1.0, width=32))
def test_it_is_written_as_msgspec_writes_the_double_that_a_reader_gets(value):
    assert written(value) == msgspec.json.encode(as_double(value))
    assert msgspec.json.decode(written(value)) == as_double(value)


@settings(deadline=None)
@given(st.floats(2.0**-40, 1.0, width=32))
def test_no_decimal_of_fewer_digits_reads_back_the_same(value):
    digits, _ = shortest(np.float32(value))
    fewer = len(str(digits)) - 1
    assert fewer == 0 or np.float32(f"{value:.{fewer - 1}e}") != np.float32(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0.0"),
        (1.0, b"1.0"),
        (0.1, b"0.1"),
        (0.5, b"0.5"),
        (1 / 3, b"0.33333334"),
        (12.25, b"12.25"),
        (1500.0, b"1500.0"),
        (1e-5, b"0.00001"),
        (2.5e-7, b"2.5e-7"),
        (16777216.0, b"16777216.0"),
    ],
)
def test_numbers_are_as_short_as_they_can_be(value, text):
    assert written(value) == text


def test_every_number_fits():
    assert len(written(np.finfo(np.float32).max)) <= LONGEST
    assert len(written(np.finfo(np.float32).tiny)) <= LONGEST
