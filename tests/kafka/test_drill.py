"""The chaos drill, short: every kind of fault, a clean audit, and workers that did as they promise."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stream.drill.run import DrillOptions, run_drill
from stream.screens.drill import DrillScreen

# Old and damaged copies of the state are in `test_store.py`.
FAULTS = (
    "zombie",
    "kill_all",
    "die_assigned",
    "die_restoring",
    "die_applying",
    "broker_kill",
    "cut",
    "hot_user",
    "retries",
)


def drilled(tmp_path: Path, **options: Any) -> tuple[dict[str, Any], str]:
    """Run a drill; its result, and what it printed."""
    written = tmp_path / "drill.json"
    printed = io.StringIO()
    screen = DrillScreen(Console(file=printed, width=200))
    is_good = run_drill(DrillOptions(seconds=0, pause=0.5, json=written, **options), screen)
    result: dict[str, Any] = json.loads(written.read_text())
    assert result["is_good"] == is_good
    return result, printed.getvalue()


@pytest.mark.timeout(600)
def test_a_drill_with_every_kind_of_fault_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    result, printed = drilled(tmp_path, rate=400, seed=7, faults=FAULTS)
    assert result["is_good"], printed
    assert sorted(done["fault"] for done in result["done"]) == sorted(FAULTS)
    for name in ("lost", "duplicated", "profiles_different", "models_different"):
        assert result[name] == 0, printed
    assert result["events"] == result["audit"]["records"] > 10_000
    assert result["profiles_compared"] > 300
    assert result["models_compared"] == 2
    assert result["models"]["sessions_compared"] > 100
    assert result["audit"]["rewards"] > 100
    # A worker that is gone is missed for a session timeout, 6 s.
    assert 2 < result["longest_gap_seconds"] < 60
    assert result["audit"]["duplicate_events"] > 200  # of the producer that sent again
    assert {done["fault"] for done in result["done"] if "SIGSTOP" in done["what"]} == {"zombie"}
    assert "Nothing lost, nothing twice." in printed


@pytest.mark.timeout(400)
def test_at_least_once_keeps_the_state_exact_and_repeats_slates_as_they_were_whatever_dies(
    tmp_path: Path,
) -> None:
    faults = ("die_committing", "kill_all", "broker_kill")
    result, printed = drilled(tmp_path, rate=300, faults=faults, guarantee="at_least_once")
    assert (result["lost"], result["profiles_different"], result["models_different"]) == (0, 0, 0), printed
    # The fault point of `die_committing` lies between a cycle's slates and its changelog.
    assert result["audit"]["repeated_identical"] > 0, printed
    assert result["audit"]["repeated_different"] == 0, printed
    assert result["crashes"] == []
    assert result["profiles_compared"] > 300
    assert result["events"] == result["audit"]["records"] > 3_000
