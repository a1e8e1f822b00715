"""The pure parts of the benchmarks beside peers and echoes: payloads, trivial step, percentiles, tables."""

import argparse
import json
from collections import Counter

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from benchmarks import freshness, growth, latency, peers, plots, quick
from benchmarks.arguments import Table, deliver, measured, screen
from benchmarks.contenders import PARTITIONS, Topics, stamped, wire, worker, worker_settings
from benchmarks.load import LoadTask, load_command
from benchmarks.payloads import SLATE_BYTES, Draws, id_of, sent_ns, slate_value
from benchmarks.percentiles import Cores, Run, cells, counted, percentiles_of, rows
from benchmarks.preload import Keys
from benchmarks.processes import BenchmarkError
from benchmarks.trivial import work
from state.event import EventRules, Origin
from state.slate import Slate, SlateItem, Source, Trigger
from state.step import StepRules
from stream.codecs import decode_event, encode_marker, encode_slate
from stream.config import Settings
from stream.store import MARKER
from stream.topics import TopicSpec
from stream.work import Engine

NOW_NS = 1_795_532_257_910_506_328
EVENT_ID = f"{NOW_NS}-000000007"


def run_of(contender: str, milliseconds: float, *, rate: float = 1000.0, missing: int = 0) -> Run:
    percentiles = (milliseconds, 2 * milliseconds, 4 * milliseconds, 8 * milliseconds)
    cores = Cores(engine=0.5, broker=None, load=0.1, reader=0.1, others=0.0)
    return Run(contender, rate, 1, 100, missing, percentiles, 9 * milliseconds, cores)


def round_of(rate: float) -> peers.Round:
    return peers.Round(100, 1.0, rate, 20.0, None, 0.1)


@pytest.fixture
def report() -> peers.Report:
    rounds = {
        "wire": [round_of(rate) for rate in (100_000.0, 90_000.0, 110_000.0)],
        "exactly_once": [round_of(rate) for rate in (50_000.0, 60_000.0, 70_000.0)],
        "faust_stock": [round_of(1_200.0)],
    }
    return peers.Report({}, 8, 0.0, 0.0, rounds)


# Payloads ---------------------------------------------------------------------------------------------


def test_an_event_is_valid_for_the_engine_and_has_some_600_bytes():
    value = Draws().event(7, NOW_NS)
    event = decode_event(value, Origin("events", 0, 0, NOW_NS // 1_000_000), EventRules())
    assert event.event_id == EVENT_ID
    assert event.user_id == f"u{Draws().user(7)}"
    assert 550 <= len(value) <= 650


def test_the_id_and_the_time_of_sending_are_read_without_decoding():
    value = Draws().event(7, NOW_NS)
    assert (id_of(value), sent_ns(value)) == (EVENT_ID, NOW_NS)
    assert sent_ns(slate_value(EVENT_ID)) == NOW_NS
    with pytest.raises(ValueError, match="not found"):
        sent_ns(b"{}")


def test_the_engine_s_own_slates_tell_the_time_of_sending_too():
    assert sent_ns(slate_with("y", "popularity")) == NOW_NS


def test_a_slate_is_json_of_700_bytes():
    value = slate_value(EVENT_ID)
    assert len(value) == SLATE_BYTES
    assert json.loads(value)["trigger"]["event_id"] == EVENT_ID


def test_a_few_users_are_half_of_the_traffic_and_all_partitions_have_some():
    draws, keys = Draws(), Keys(PARTITIONS)
    users = Counter(draws.user(number) for number in range(20_000))
    assert sum(count for _, count in users.most_common(len(users) // 5)) > 10_000
    assert {keys.partitions[user] for user in users} == set(range(PARTITIONS))


# The trivial step -------------------------------------------------------------------------------------


class Kept:
    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, keys):
        return [self.rows.get(key) for key in keys]


def record(offset: int, key: bytes, value: bytes) -> ConsumerRecord:
    return ConsumerRecord("events", 3, offset, 0, 0, key, value, None, len(key), len(value), ())


def test_the_trivial_step_counts_each_user_s_events_and_answers_each():
    engine = Engine(None, EventRules(), StepRules(), "me", "1")
    draws, kept = Draws(), Kept()
    numbers = [0, 1, 2, 0]
    run = [
        record(offset, b"u%d" % draws.user(number), draws.event(number, NOW_NS))
        for offset, number in enumerate(numbers)
    ]
    counts = Counter(each.key for each in run)
    for lap in (1, 2):
        result = work(3, {"events": run}, kept, engine)
        kept.rows.update(result.changelog)
        assert {key: int(kept.rows[key]) for key in counts} == {key: lap * n for key, n in counts.items()}
    assert [id_of(value) for _, value, _ in result.slates] == [id_of(each.value) for each in run]
    assert [key for key, _, _ in result.slates] == [each.key for each in run]
    assert kept.rows[MARKER + b"events"] == encode_marker(3, "me")
    assert result.events == 4
    assert result.invalid == {"events": bytes(4)}


# Contenders -------------------------------------------------------------------------------------------


def test_slates_are_stamped_by_the_broker_whoever_writes_them(tmp_path):
    spec = stamped(TopicSpec("slates", 8, 1, {"cleanup.policy": "delete"}))
    assert spec.config == {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}
    settings = worker_settings("b:1", "app", tmp_path, "exactly_once")
    found = worker("exactly_once", settings, module="benchmarks.trivial_worker")
    stamps = {each.name: each.config.get("message.timestamp.type") for each in found.specs}
    assert stamps[settings.slates_topic] == "LogAppendTime"
    assert sum(stamp is not None for stamp in stamps.values()) == 1
    assert found.command[1:] == ["-m", "benchmarks.trivial_worker"]
    assert found.variables["FRESHSLATE_PROCESSING_GUARANTEE"] == "exactly_once"


def test_the_wire_is_told_which_records_to_read():
    contender = wire("wire", "b:1", Topics("in", "out"), {0: 5}, {0: 9})
    assert json.loads(contender.command[-1])["starts"] == {"0": 5}


def test_the_load_generator_s_command_says_what_to_send():
    command = load_command(LoadTask("b:1", "in", 8, 1000.0, 5.0, 7))
    assert msgspec.json.decode(command[-1], type=LoadTask).first == 7


# Percentiles ------------------------------------------------------------------------------------------


def test_a_percentile_is_a_latency_that_was_measured():
    assert percentiles_of([float(n) for n in range(1, 1001)]) == (500.0, 900.0, 990.0, 999.0)
    assert percentiles_of([3.0]) == (3.0,) * 4
    with pytest.raises(ValueError, match="no latency"):
        percentiles_of([])


def test_events_of_the_warm_up_and_after_the_end_do_not_count():
    assert counted([10, 20, 30, 40], first_ns=20, last_ns=30) == [1, 2]


def test_each_contender_is_compared_with_the_echo_of_its_guarantee_at_the_same_rate():
    found = rows(
        [
            run_of("echo", 5.0),
            run_of("txn_echo", 10.0),
            run_of("exactly_once", 30.0),
            run_of("exactly_once", 20.0),
            run_of("exactly_once", 15.0),
            run_of("full_at_least_once", 20.0),
            run_of("exactly_once", 40.0, rate=8000.0),
        ]
    )
    by_place = {(row.contender, row.rate): row for row in found}
    assert by_place["exactly_once", 1000.0].ratios == pytest.approx((2.0, 2.0))
    assert by_place["exactly_once", 1000.0].worst == 270.0
    assert by_place["full_at_least_once", 1000.0].ratios == pytest.approx((4.0, 4.0))
    assert by_place["exactly_once", 8000.0].ratios is None
    assert by_place["echo", 1000.0].ratios is None


def test_a_contender_that_did_not_follow_is_said_to_be_overloaded():
    (row,) = rows([run_of("exactly_once", 30.0, missing=5)])
    assert row.overloaded
    assert cells(row)[0] == "exactly once, overloaded"
    assert run_of("exactly_once", 2500.0).overloaded
    assert not run_of("exactly_once", 30.0).overloaded


# Command lines and tables -----------------------------------------------------------------------------


def test_the_throughput_table_tells_each_rate_as_a_multiple_of_the_references(report):
    wire_row, ours, faust = peers.rows(report)
    assert (wire_row.rate, ours.rate, faust.rate) == (100_000.0, 60_000.0, 1_200.0)
    assert ours.spread == (50_000.0, 70_000.0)
    assert ours.ratios == {"wire": 0.6, "faust_stock": 50.0, "quix_exactly_once": None}
    assert peers.cells(ours)[:7] == ["exactly once", "60,000", "50,000", "70,000", "0.60", "50.00", "-"]
    assert len(peers.cells(ours)) == len(peers.HEADER)


def test_command_lines_have_defaults_and_refuse_nonsense():
    assert peers.arguments([]).contenders == list(peers.EVENTS)
    assert latency.arguments(["--rates", "100", "half"]).rates == [100.0, "half"]
    assert freshness.arguments([]).background == [0, 1000]
    assert growth.arguments(["--sessions", "10"]).sessions == [10]
    with pytest.raises(SystemExit):
        latency.arguments(["--rates", "0"])
    with pytest.raises(SystemExit):
        peers.arguments(["--contenders", "flink"])
    with pytest.raises(argparse.ArgumentTypeError):
        latency.rate("-1")


def test_a_figure_is_better_or_worse_by_its_kind():
    name, *_ = quick.BEST_IS_HIGH
    assert quick.change(name, 0.5, 0.6) == "+20 %, better"
    assert quick.change("step, us", 100.0, 120.0) == "+20 %, worse"
    assert quick.change("step, us", 100.0, 100.2) == "same"
    lines = quick.compared({"step, us": 120.0, "new": 1.0}, {"step, us": 100.0})
    assert lines == [["step, us", "100.00", "120.00", "+20 %, worse"], ["new", "-", "1.00", "-"]]


def test_a_report_that_is_none_is_an_error_that_names_the_file(tmp_path, capsys):
    with pytest.raises(SystemExit):
        quick.arguments(["--against", str(tmp_path / "none.json")])
    assert "none.json is no report" in capsys.readouterr().err


def test_a_run_s_numbers_can_be_compared_with_later(tmp_path):
    options = quick.arguments(["--json", str(tmp_path / "now.json"), "--markdown"])
    report = quick.Report({"cpu": "some"}, 0.1, 0.2, {"step, us": 100.0})
    deliver(
        report, Table("title", quick.HEADER, quick.compared(report.figures, {})), options, screen(options)
    )
    assert quick.arguments(["--against", str(options.json)]).against == report


def test_what_goes_wrong_as_expected_is_one_line():
    async def fails():
        message = "no broker"
        raise BenchmarkError(message)

    with pytest.raises(SystemExit, match="benchmarks: no broker"):
        measured(fails())


def test_charts_are_drawn(tmp_path, report):
    found = peers.rows(report)
    bars, lines = tmp_path / "bars.png", tmp_path / "lines.png"
    plots.rates(
        {row.contender: row.rate for row in found}, {row.contender: row.spread for row in found}, bars
    )
    plots.latencies(rows([run_of("txn_echo", 10.0), run_of("exactly_once", 30.0)]), lines)
    assert bars.read_bytes()[:4] == lines.read_bytes()[:4] == b"\x89PNG"


# Freshness and growth ---------------------------------------------------------------------------------


def slate_with(item: str, source: str) -> bytes:
    return encode_slate(
        Slate(
            slate_id="s",
            user_id="u",
            tenant="default",
            scenario="feed",
            time=1,
            trigger=Trigger(EVENT_ID, 1, "events", 0, 0),
            policy="softmax",
            policy_version="1",
            seed=1,
            candidates=1,
            candidates_hash="0",
            items=(SlateItem(item, 1, 1.0, 1.0, (Source(source, 1.0),)),),
        )
    )


def test_an_item_counts_as_brought_only_by_a_source_that_others_feed():
    assert freshness.brings(slate_with("y", "session_knn"), "y")
    assert freshness.brings(slate_with("y", "sequence_rules"), "y")
    assert not freshness.brings(slate_with("y", "popularity"), "y")
    assert not freshness.brings(slate_with("x", "session_knn"), "y")


def test_a_worker_s_partitions_are_those_it_opened_last():
    assert freshness.owned("opened partitions [0, 1], x\nopened partitions [2, 3], y") == {2, 3}
    assert freshness.owned("nothing yet") == frozenset()


def test_users_are_found_for_any_partitions():
    users = freshness.users_on({2}, "viewer-")
    assert len({next(users) for _ in range(5)}) == 5


def test_clicks_that_nobody_heard_of_are_told_apart():
    trials = [freshness.Trial(10.0, 12.0), freshness.Trial(30.0, 32.0), freshness.Trial(None, None)]
    retrieved, read = freshness.lines(freshness.Report({}, "exactly_once", 0.0, 0.0, {"1000": trials}))
    assert retrieved == ["1,000", "3", "retrieved", "10.0", "30.0", "30.0", "30.0", "30.0", "1"]
    assert read[-2:] == ["32.0", "1"]


def test_made_up_lessons_are_sessions_of_several_near_items():
    deltas = list(growth.lessons(300, seed=1))
    pairs = [
        (key, delta.items[place])
        for delta in deltas
        for key, place in zip(delta.session, delta.item, strict=True)
    ]
    assert {key for key, _ in pairs} == set(range(1, 301))
    assert 3.5 < len(pairs) / 300 < 6.5
    assert [delta.items for delta in growth.lessons(300, seed=1)] == [delta.items for delta in deltas]


def test_growth_is_told_as_a_multiple_of_the_smallest_index():
    sizes = [growth.Size(10, 48, [50.0, 60.0, 55.0]), growth.Size(100, 480, [110.0])]
    assert [line[-1] for line in growth.lines(sizes)] == ["1.00", "2.00"]


def test_a_worker_reads_the_settings_it_is_given(tmp_path):
    settings = worker_settings("b:1", "app", tmp_path, "at_least_once")
    assert isinstance(settings, Settings)
    assert settings.input_topics == ("app.events",)
