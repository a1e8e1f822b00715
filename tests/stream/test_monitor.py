"""What the monitor makes of records, over a log in memory; the real broker is in `tests/kafka`."""

import logging

import msgspec
import pytest
from aiokafka import TopicPartition

from state.errors import UnreadableState
from state.slate import Delta
from stream.codecs import encode_delta, encode_reward
from stream.config import Settings
from stream.heartbeat import heartbeat_key
from stream.monitor import MonitorProcess
from stream.monitor_metrics import CTR, LAG, MATURED, SLATES, WATERMARK
from tests.state.test_monitoring import BY, START, WAIT, exposed, reward, slate
from tests.stream.records import record

S0, S1, R0, D0 = (
    TopicPartition("slates", 0),
    TopicPartition("slates", 1),
    TopicPartition("rewards", 0),
    TopicPartition("deltas", 0),
)


def process(**settings):
    return MonitorProcess(Settings(**settings), 3_600_000)


def slates(*made):
    return [record(msgspec.json.encode(each), n, topic="slates") for n, each in enumerate(made)]


def rewards(*made):
    return [record(encode_reward(each), n, topic="rewards") for n, each in enumerate(made)]


def delta(exposures):
    empty = {"item": (), "session": (), "time": (), "type": (), "items": (), "spans": ()}
    counts = {"partition": 0, "events": 0, "duplicates": 0, "dead_letters": 0, "slates": 0}
    return record(encode_delta(Delta(**empty, **counts, exposures=exposures)), topic="deltas")


def test_slates_are_taken_before_what_answers_them():
    it = process()
    it.take({R0: rewards(reward(0)), D0: [delta(exposed(0, 1))], S0: slates(slate(0))})
    assert it.monitor.late == 0
    assert it.monitor.series[BY].rewards == {"click": 1}


def test_event_time_moves_with_slates_and_counts_those_that_waited():
    it = process()
    it.take({S0: slates(slate(0), slate(1)), R0: rewards(reward(0))})
    assert it.monitor.waiting == 2
    it.take({S0: slates(slate(2, time=START + WAIT + 1000))})
    assert it.monitor.waiting == 1
    assert it.monitor.series[BY].matured == 2
    assert it.monitor.series[BY].mean("ctr") == 0.5


def test_a_heartbeat_is_no_slate_and_moves_no_time():
    it = process()
    it.take({S0: slates(slate(0))})
    beat = slates(slate(1, time=START + 9 * WAIT))[0]
    beat.key = heartbeat_key(0)
    it.take({S0: [beat]})
    assert (it.monitor.waiting, it.monitor.series[BY].slates) == (1, 1)


def test_a_partition_that_is_behind_holds_the_time_back():
    it = process()
    it._behind = {S0: 0, S1: 7, R0: 0}
    it.take({S0: slates(slate(0), slate(1, time=START + 3 * WAIT))})
    assert it.watermark == 0
    assert it.monitor.waiting == 2
    it.take({S1: slates(slate(2, time=START + WAIT))})
    assert it.watermark == START + WAIT
    assert it.monitor.waiting == 2
    it._behind[S1] = 0
    it.take({})
    assert it.watermark == START + 3 * WAIT


def test_exposures_that_are_not_read_yet_hold_the_time_back():
    it = process()
    it._behind = {S0: 0, D0: 1}
    it.take({S0: slates(slate(0), slate(1, time=START + 3 * WAIT))})
    assert it.watermark == 0
    it._behind[D0] = 0
    it.take({D0: [delta(exposed(0, 1))]})
    assert it.watermark == START + 3 * WAIT
    assert it.monitor.series[BY].matured == 1
    assert it.monitor.series[BY].unseen == 0


def test_feedback_alone_does_not_move_the_time():
    it = process()
    it.take({S0: slates(slate(0)), R0: rewards(reward(5, delay=9e6))})
    assert it.watermark == START


def test_a_drift_is_a_line_in_the_log(caplog):
    it = process()
    with caplog.at_level(logging.WARNING):
        for n in range(3_000):
            answers = {R0: rewards(reward(n))} if n < 1_500 else {}
            it.take({S0: slates(slate(n, time=START + n * 1000)), **answers})
        it.take({S0: slates(slate(9_999, time=START + 100 * WAIT))})
    assert "drift of reward, policy softmax, scenario feed: mean 0." in caplog.text


def test_a_scrape_sees_what_the_monitor_holds():
    it = process()
    it._behind = {S0: 3, S1: 4, R0: 0}
    it._latest = {S1: START + 9 * WAIT}
    it.take({S0: slates(slate(0), slate(1, time=START + WAIT))})
    list(it.metrics.collect())
    assert it.metrics.value(SLATES, *BY) == 2
    assert it.metrics.value(MATURED, *BY) == 1
    assert it.metrics.value(CTR, *BY) == 0.0
    assert it.metrics.value(LAG, "slates") == 7
    assert it.metrics.value(WATERMARK) == (START + WAIT) / 1000


def test_the_wait_and_the_bound_are_settings():
    it = process(monitor_wait_seconds=60, monitor_slates=100)
    it.take({S0: slates(*(slate(n, time=START + n) for n in range(300)))})
    assert it.monitor.share < 1.0
    assert it.monitor.waiting <= 100
    it.take({S0: slates(slate(400, time=START + 61_000, user="u0"))})
    assert it.monitor.series[BY].matured > 0


def test_what_is_no_slate_is_an_error():
    with pytest.raises(UnreadableState, match="slate"):
        process().take({S0: [record(b"{}", topic="slates")]})
