import pytest

from state.posterior.config import MOST_BUCKETS, LearningConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bucket_seconds": 0}, "bucket_seconds must be above 0, not 0"),
        ({"maturity_seconds": -1}, "maturity_seconds must be above 0, not -1"),
        ({"half_life_seconds": 0.0}, "half_life_seconds must be above 0"),
        ({"half_life_seconds": float("nan")}, "half_life_seconds must be above 0"),
        ({"bucket_seconds": 7}, "an hour must be a whole number of buckets; bucket_seconds is 7"),
        ({"bucket_seconds": 7200}, "an hour must be a whole number of buckets"),
        ({"bucket_seconds": 1, "maturity_seconds": MOST_BUCKETS}, "make bucket_seconds longer"),
    ],
)
def test_what_cannot_be_is_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        LearningConfig(**changes)


@pytest.mark.parametrize(("bucket", "maturity", "waiting"), [(60, 1800, 32), (60, 1, 3), (3600, 3601, 4)])
def test_the_ring_has_room_for_what_waits(bucket, maturity, waiting) -> None:
    config = LearningConfig(bucket_seconds=bucket, maturity_seconds=maturity)
    assert config.waiting == waiting
    assert (config.bucket_ms, config.maturity_ms) == (1000 * bucket, 1000 * maturity)
