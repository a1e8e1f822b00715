import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.times import FIRST, LAST, format_iso, parse_iso


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-22T17:03:21.512Z",
        "2025-11-22T17:03:21.512",
        "2025-11-22 17:03:21.512999",
        "2025-11-22T18:03:21.512+01:00",
        "20251122T170321.512Z",
    ],
)
def test_iso_8601_without_a_zone_is_utc(text):
    assert parse_iso(text) == 1_763_831_001_512


def test_a_date_is_its_midnight():
    assert parse_iso("1970-01-02") == 86_400_000


@pytest.mark.parametrize("text", ["", "now", "2025-02-30T00:00:00Z", "1763831001512", "2025-11-22T25:00:00Z"])
def test_other_text_is_no_time(text):
    with pytest.raises(ValueError, match=r"Invalid isoformat|out of range|must be in"):
        parse_iso(text)


def test_times_are_written_in_utc_with_milliseconds():
    assert format_iso(1_763_831_001_005) == "2025-11-22T17:03:21.005Z"
    assert format_iso(0) == "1970-01-01T00:00:00.000Z"
    assert format_iso(-1) == "1969-12-31T23:59:59.999Z"


@given(st.integers(FIRST, LAST))
def test_what_is_written_reads_back(time):
    assert parse_iso(format_iso(time)) == time


@pytest.mark.parametrize("time", [-(2**63), 2**63 - 1])
def test_any_kafka_timestamp_can_be_written(time):
    assert parse_iso(format_iso(time)) in {FIRST, LAST}
