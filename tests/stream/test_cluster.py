import pytest

from stream.cluster import LIMITS, BrokerLimits, beyond, check_cluster
from stream.config import load_settings
from stream.knock import BrokerUnreachableError


def test_settings_within_what_brokers_allow_are_no_problem() -> None:
    limits = dict(zip(LIMITS, (900_000, 6_000, 1_800_000), strict=True))
    assert list(beyond(load_settings(), limits)) == []
    assert list(beyond(load_settings(), {})) == []


def test_each_setting_beyond_a_limit_is_told_with_the_brokers_own_name_for_it() -> None:
    settings = load_settings(session_timeout_seconds=4.0, heartbeat_seconds=1.0)
    transaction, session = beyond(settings, dict(zip(LIMITS, (3_000, 6_000, 1_800_000), strict=True)))
    assert transaction == (
        "FRESHSLATE_TRANSACTION_TIMEOUT_SECONDS: 4 is beyond the brokers' transaction.max.timeout.ms=3000: "
        "make it at most 3"
    )
    assert "group.min.session.timeout.ms=6000 and group.max.session.timeout.ms=1800000" in session
    assert "the brokers do not fit" in str(BrokerLimits([transaction]))


def test_without_transactions_their_timeout_does_not_matter() -> None:
    settings = load_settings(processing_guarantee="at_least_once")
    assert list(beyond(settings, {"transaction.max.timeout.ms": 1})) == []


async def test_a_broker_that_is_away_is_told_before_anything_else() -> None:
    with pytest.raises(BrokerUnreachableError):
        await check_cluster(load_settings(broker="localhost:1"), "worker")
