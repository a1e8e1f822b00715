"""The pure parts of the benchmarks of recovery, memory and soak."""

import math
import subprocess
import sys
import time

import msgspec
import pytest

from benchmarks import memory, recovery, soak
from benchmarks.fleet import Answer, Opened, click, is_gone, longest_gaps, opened, quantile
from benchmarks.job import BenchmarkError
from benchmarks.profiles import WRITER, rows, user_key
from benchmarks.recovery import Handover, Models, Start
from benchmarks.soak import Sample, trend
from state.event import EventRules, Origin
from state.profile import MAX_ITEMS, MAX_OPEN_SLATES
from stream.codecs import Marker, decode_event, decode_marker, decode_profile, encode_event
from stream.config import Settings
from stream.store import MARKER

NOW = 1_764_000_000_000
LOG = """
[INFO] opened partitions [0, 3, 11], restored 1204 changelog records in 0.31 s
[INFO] something else
[INFO] opened partitions [7], restored 0 changelog records in 12.00 s
"""


# What a worker's log and the slates tell ------------------------------------------------------------


def test_a_workers_log_tells_what_it_restored():
    assert opened(LOG) == [Opened(frozenset({0, 3, 11}), 1204, 0.31), Opened(frozenset({7}), 0, 12.0)]
    assert opened("nothing yet") == []


def test_the_longest_gap_is_that_of_each_partition_and_counts_the_edges():
    answers = [Answer(at, partition, 0.0) for at, partition in [(1, 0), (4, 0), (5, 0), (2, 1), (3, 1)]]
    assert longest_gaps(answers, since=0.0, until=6.0, partitions=3) == [3.0, 3.0, 6.0]


def test_slates_outside_the_time_that_is_looked_at_do_not_count():
    answers = [Answer(at, 0, 0.0) for at in (-5.0, 1.0, 9.0)]
    assert longest_gaps(answers, since=0.0, until=4.0, partitions=1) == [3.0]


@pytest.mark.parametrize(("share", "found"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_quantile_is_one_of_the_values(share, found):
    assert quantile([4.0, 1.0, 3.0, 2.0], share) == found


def test_no_values_have_no_quantile():
    with pytest.raises(BenchmarkError):
        quantile([], 0.5)


def test_a_process_that_has_ended_is_gone_before_anybody_asked_for_its_code():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert not is_gone(child.pid)
        child.stdin.close()
        while not is_gone(child.pid):  # `wait` would reap it
            time.sleep(0.01)
        assert child.returncode is None


def test_clicks_are_valid_events_and_their_users_stay_in_their_partition():
    clicks = [click(number, number % 4, NOW + number) for number in range(400)]
    for number, made in enumerate(clicks):
        assert made.user_id.startswith(f"{number % 4}-")
        read = decode_event(encode_event(made), Origin("events", 0, number, NOW), EventRules())
        assert (read.type, read.user_id, read.time) == ("click", made.user_id, NOW + number)
    assert len({made.event_id for made in clicks}) == 400
    assert len({made.user_id for made in clicks}) > 100


# Profiles --------------------------------------------------------------------------------------------


def test_made_profiles_are_what_a_worker_can_restore():
    settings = Settings(partitions=4)
    *users, marker = rows(1, settings, 400, NOW)
    assert marker[0] == MARKER + b"events"
    assert decode_marker(marker[1]) == Marker(-1, WRITER)
    assert [key for key, _ in users] == [user_key(user) for user in range(1, 400, 4)]
    profiles = [decode_profile(value) for _, value in users]
    assert all(3 <= len(profile.items) <= MAX_ITEMS for profile in profiles)
    assert {len(profile.open_slates) for profile in profiles} == set(range(MAX_OPEN_SLATES + 1))
    assert len({profile.session_key for profile in profiles}) == 100
    assert 400 < sum(len(value) for _, value in users) / 100 < 1000


def test_all_partitions_together_hold_every_user_once():
    settings = Settings(partitions=3)
    keys = [key for p in range(3) for key, _ in rows(p, settings, 100, NOW) if not key.startswith(b"\x00")]
    assert sorted(keys) == [user_key(user) for user in range(100)]


# Reports ---------------------------------------------------------------------------------------------


def test_recovery_rows_join_the_rounds_of_the_same_start():
    starts = [Start("none", 8.0, 5.0, 1_000_000), Start("after SIGTERM", 2.0, 0.1, 0)] * 2
    handover = Handover("static SIGTERM", [1.0, 2.0], 0.1, [0.2, 0.2], 0)
    report = recovery.Report(
        {}, 0.0, 1, 700.0, 8, 400.0, starts, Models(10, 5000, 2.0, 0.5, 100, 0.1), [handover]
    )
    found = dict(recovery.rows(report))
    assert found["first slate, disk none, s"] == [8.0, 8.0]
    assert found["restore, records/s"] == [200_000.0, 200_000.0]
    assert found["models from zero, interactions/s"] == [2500.0]
    assert found["pause, static SIGTERM, s"] == [1.0, 2.0]
    assert "restore after SIGTERM, records/s" not in found


def test_sizes_tell_mean_median_and_p99():
    found = memory.sizes_of("a stream", [*range(1, 100), 1000])
    assert (found.users, found.mean, found.median, found.p99, found.largest) == (100, 59.5, 51, 1000, 1000)


def test_without_the_histories_another_stream_stands_in_and_says_so(tmp_path):
    source, events = memory.histories(tmp_path, 50)
    assert "made-up" in source
    assert len(events) == 50


def test_a_process_tells_its_memory():
    import os

    found = memory.memory_of(os.getpid(), "now")
    assert found.resident > found.anonymous > 1 << 20


def test_unknown_sizes_are_no_number():
    assert (memory.megabytes(None), memory.megabytes(2_500_000)) == ("-", "2.5 MB")


def sample(seconds, **measures):
    flat = {"resident_mb": 200.0, "files": 50.0, "lag": 10.0, "p50_ms": 20.0, "p99_ms": 60.0}
    others = {"broker_mb": 400.0, "worker_cpu": 0.5, "events": 1000.0}
    return Sample(seconds=seconds, **(flat | others | measures))


def test_what_stays_is_flat_and_what_grows_is_not():
    samples = [sample(10.0 * n, resident_mb=200.0 + n, files=50.0 + n % 2) for n in range(100)]
    grows = trend(samples, "resident_mb")
    assert (grows.flat, grows.per_hour) == (False, pytest.approx(360.0))
    assert grows.drift == pytest.approx(74.0)
    assert trend(samples, "files").flat


def test_what_falls_is_flat():
    assert trend([sample(float(n), lag=1000.0 - n) for n in range(100)], "lag").flat


def test_the_warm_up_is_not_judged():
    samples = [sample(float(n), p99_ms=500.0 if n < 25 else 60.0) for n in range(100)]
    assert trend(samples, "p99_ms").drift == pytest.approx(0.0, abs=1e-9)


def test_a_sample_without_slates_is_no_number_but_no_error():
    samples = [sample(float(n), p50_ms=math.nan if n == 50 else 20.0) for n in range(100)]
    assert trend(samples, "p50_ms").median == 20.0


def test_too_short_a_run_has_no_trend():
    with pytest.raises(BenchmarkError, match="--every"):
        trend([sample(0.0)], "lag")


def test_a_soak_can_be_drawn_from_its_json(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from benchmarks.soak_plot import plot

    samples = [sample(10.0 * n) for n in range(20)]
    trends = {name: trend(samples, name) for name in soak.FLOORS}
    report = soak.Report({}, 200.0, 0.0, 500.0, 10, 10, samples, trends)
    read = msgspec.json.decode(msgspec.json.encode(report), type=soak.Report)
    plot(read, tmp_path / "plots" / "soak.png")
    assert (tmp_path / "plots" / "soak.png").read_bytes().startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("benchmark", [recovery, memory, soak])
def test_the_command_line_has_examples_that_it_understands(benchmark, capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.arguments(["--help"])
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    name = f"python -m {benchmark.__name__}"
    assert name in shown
    for example in shown.partition("Examples: ")[2].split("; "):
        given = example.partition(" (")[0].removeprefix(name).split()
        assert benchmark.arguments(given)
