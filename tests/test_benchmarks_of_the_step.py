"""`benchmarks.step`: the step of two trees side by side."""

import io
import json

import pytest

from benchmarks import step


@pytest.fixture
def options(tmp_path):
    shape = ["--blocks", "2", "--events", "100", "--warm-up", "100", "--data", str(tmp_path)]
    return step.arguments(["--inputs", "sessions", *shape])


def served(options, monkeypatch, capsys):
    """What a process says to two blocks."""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n"))
    step.serve(options)
    return capsys.readouterr().out.splitlines()


def test_a_process_tells_its_times_and_what_it_wrote_which_is_the_same_each_time(
    options, monkeypatch, capsys
):
    ready, first, second, written = served(options, monkeypatch, capsys)
    assert ready == "ready"
    assert all(set(json.loads(block)) == set(step.PARTS) for block in (first, second))
    assert json.loads(first)["work"] > 0
    assert served(options, monkeypatch, capsys)[-1] == written


def test_the_table_has_ratios_of_blocks_side_by_side():
    here = [dict.fromkeys(step.PARTS, 1.0), dict.fromkeys(step.PARTS, 9.0)]
    there = [dict.fromkeys(step.PARTS, 2.0), dict.fromkeys(step.PARTS, 10.0)]
    lines = step.table([here, there])
    assert [line.split()[0] for line in lines] == [*step.PARTS, "all"]
    assert lines[0].endswith("ratio 0.700")
    assert "ratio" not in step.table([here])[0]


def test_other_bytes_are_told():
    assert step.same(["a", "a"]) == "  the same bytes"
    assert step.same(["a", "b"]) == "  OTHER BYTES ARE WRITTEN"
