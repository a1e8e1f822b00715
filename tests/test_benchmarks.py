"""The pure parts of `benchmarks/`: what is timed, the medians, the tables and the command line."""

import json
import os

import pytest

from benchmarks.inputs import deltas_of, inputs, laps, made_up
from benchmarks.job import (
    BenchmarkError,
    JobRound,
    Progress,
    Sample,
    Spent,
    cores_of_others,
    cpu_per_event,
    spent,
    timing_of,
)
from benchmarks.machine import busy_seconds, cpu_seconds, machine
from benchmarks.report import InputReport, Report, WireRound, as_json, as_markdown, middle, number, rows
from benchmarks.stages import STAGES, Stages, Stopwatch
from benchmarks.throughput import arguments
from state.event import TYPE_CODES
from stream.worker_metrics import CYCLE_SECONDS, EVENTS, STAGE_SECONDS, WorkerMetrics, told


def job_round(rate: float) -> JobRound:
    return JobRound(
        events=100,
        seconds=1.0,
        rate=rate,
        worker_cpu_us=120.0,
        broker_cpu_us=None,
        others_cores=0.25,
        load_cpu_us=20.0,
    )


@pytest.fixture
def report() -> Report:
    wire = [WireRound(rate, 8.0, 10.0) for rate in (50_000.0, 60_000.0, 40_000.0)]
    jobs = {"exactly_once": [job_round(rate) for rate in (5000.0, 7000.0, 6000.0)]}
    times = {"exactly_once": Spent(1000, 10, 100.0, 40.0, 3.0, 4.0)}
    stages = Stages(90.0, dict.fromkeys(STAGES, 5.0), 2000.0, 300.0, 10, 5)
    given = InputReport("taobao", "a file", 2, 0, 10, 100, 2048, wire, jobs, times, [1_000.0], stages)
    return Report({"cpu": "some"}, 8, 0.1, 0.2, [given])


def test_a_round_is_timed_from_the_cycle_after_the_skipped_events_to_the_last():
    progress = [Progress(1000, 50), Progress(1100, 50), Progress(1600, 100), Progress(2100, 100)]
    timing = timing_of(progress, not_before=0, skip=100)
    assert timing.skipped == 100
    assert timing.events == 200
    assert timing.seconds == pytest.approx(1.0)


def test_deltas_of_one_cycle_stay_on_one_side_of_the_cut():
    progress = [Progress(1000, 60), Progress(1000, 60), Progress(1500, 80)]
    assert timing_of(progress, not_before=0, skip=50).events == 80


def test_what_was_done_while_events_were_loaded_is_not_timed():
    progress = [Progress(1000, 50), Progress(1400, 50), Progress(1900, 50)]
    assert timing_of(progress, not_before=1300, skip=0).events == 50


def test_a_round_too_short_to_time_is_an_error_that_says_what_to_do():
    with pytest.raises(BenchmarkError, match="--events"):
        timing_of([Progress(1000, 50)], not_before=0, skip=10)


def test_cpu_time_is_per_event_after_the_skipped_ones():
    samples = [Sample(0, 1.0, None), Sample(100, 1.5, None), Sample(300, 1.6, None)]
    worker, broker = cpu_per_event(samples, skip=100)
    assert worker == pytest.approx(500.0)
    assert broker is None


def test_what_others_keep_busy_is_told_in_cores():
    samples = [
        Sample(0, 1.0, 1.0, 5.0, 10.0),
        Sample(100, 2.0, 2.0, 6.0, 11.0),
        Sample(300, 4.0, 3.0, 7.0, 13.0),
    ]
    assert cores_of_others(samples, skip=100) == pytest.approx(0.5)
    unknown = [sample._replace(others=None) for sample in samples]
    assert cores_of_others(unknown, skip=100) is None


def test_the_line_a_worker_logs_at_its_end_is_understood():
    def worker(cycles, events, step, commit, apply):
        metrics = WorkerMetrics()
        metrics.add(EVENTS, events, "events", "click")
        metrics.observe(CYCLE_SECONDS, [step + commit + apply] * cycles)
        for stage, seconds in (("decide", step), ("commit", commit), ("apply", apply)):
            metrics.observe(STAGE_SECONDS, [seconds], stage)
        return told(metrics)

    one = worker(10, 1000, step=0.1, commit=0.05, apply=0.003)
    two = worker(30, 3000, step=0.6, commit=0.15, apply=0.009)
    found = spent(f"noise\n[INFO] {one}\nnoise {two}")
    assert found is not None
    assert (found.events, found.cycles) == (4000, 40)
    assert found.step == pytest.approx(175.0)
    assert found.commit == pytest.approx(50.0)
    assert found.commit_ms == pytest.approx(5.0)
    assert found.apply == pytest.approx(3.0)
    assert spent("killed before it could say anything") is None


def test_the_table_shows_medians_and_the_share_of_the_wire(report):
    wire, job = rows(report)
    assert (wire.rate, job.rate) == (50_000.0, 6000.0)
    assert job.share == pytest.approx(0.12)
    assert (job.workers, job.x_faust) == (2, 12.0)
    assert job.per_core == pytest.approx(1e6 / 120)
    assert job.spread == (5000.0, 7000.0)
    assert job.broker_cpu_us is None


def test_the_markdown_has_a_line_per_loop_and_per_stage(report):
    lines = as_markdown(report).splitlines()
    assert any(
        line.startswith("| taobao | exactly once | 2 | 6,000 | 5,000 | 7,000 | 12.0 % | 8,333 | 12.0 |")
        for line in lines
    )
    assert sum(line.startswith("| retrieve |") for line in lines) == 1


def test_the_json_holds_every_round_and_the_medians(report):
    found = json.loads(as_json(report))
    assert [each["rate"] for each in found["inputs"][0]["jobs"]["exactly_once"]] == [5000.0, 7000.0, 6000.0]
    assert [row["rate"] for row in found["medians"]] == [50_000.0, 6000.0]
    assert found["machine"] == {"cpu": "some"}


def test_what_was_not_measured_is_a_dash_and_in_no_median():
    assert number(None) == "-"
    assert number(3.14) == "3.1"
    assert number(1234.5) == "1,234"
    assert middle([None, 3.0, 1.0, 2.0]) == 2.0
    assert middle([None]) is None


def test_the_command_line_has_defaults_and_refuses_nothing_to_do():
    assert arguments([]).rounds == 3
    assert arguments(["--inputs", "taobao", "--events", "10"]).inputs == ["taobao"]
    with pytest.raises(SystemExit):
        arguments(["--rounds", "0"])


def test_a_made_up_stream_is_the_same_each_time_and_says_that_it_is_made_up(tmp_path):
    one, two = (next(iter(inputs(tmp_path, ["taobao"], events=5, warm_up=3, rounds=2))) for _ in range(2))
    assert "made-up" in one.source
    assert [event.user_id for event in one.warm_up] == [event.user_id for event in two.warm_up]
    assert [len(events) for events in (one.warm_up, *one.rounds)] == [3, 5, 5]


def test_a_second_lap_is_later_by_other_users_and_other_events():
    events = [event for event, _ in zip(made_up(), range(4), strict=False)]
    fed = [event for event, _ in zip(laps(events), range(8), strict=False)]
    assert len({event.event_id for event in fed}) == 8
    assert [event.time for event in fed] == sorted({event.time for event in fed})
    assert {event.user_id for event in fed[:4]}.isdisjoint(event.user_id for event in fed[4:])


def test_history_becomes_deltas_that_name_every_item_of_every_event():
    events = [event for event, _ in zip(made_up(), range(1200), strict=False)]
    deltas = list(deltas_of(events))
    named = [delta.items[place] for delta in deltas for place in delta.item]
    assert named == [event.items[0].item_id for event in events]
    assert len(deltas) == 3
    assert {code for delta in deltas for code in delta.type} == {TYPE_CODES["view"]}


def test_the_stopwatch_leaves_out_what_an_inner_stage_claims():
    watch = Stopwatch()
    inner = watch.timed("inner", lambda: sum(range(200_000)))
    watch.timed("outer", inner)()
    assert watch.seconds["outer"] < watch.seconds["inner"]


def test_every_stage_is_there_to_be_timed():
    assert all(callable(getattr(owner, name)) for places in STAGES.values() for owner, name in places)


def test_the_machine_says_its_processor_and_versions():
    assert machine()["aiokafka"].startswith("0.14")
    assert cpu_seconds([]) == 0.0
    assert cpu_seconds([2**22 + 1]) is None
    busy = busy_seconds()
    assert busy is None or busy >= (cpu_seconds([os.getpid()]) or 0.0)
