"""What counts as wrong after a drill."""

import pytest
from msgspec.structs import replace

from stream.audit import Report
from stream.drill.report import Done, wrongs
from stream.model_audit import ModelReport

GOOD = Done(fault="kill", what="kill -9 7", at_seconds=1.0, took_seconds=0.1, flowed_after_seconds=5.0)
AUDIT = Report(records=10)
MODELS = ModelReport(models_compared=2)


def test_a_good_drill_has_nothing_wrong() -> None:
    assert wrongs([GOOD], [], 10, AUDIT, MODELS) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (([replace(GOOD, broken_promise="it ended")], [], 10, AUDIT, MODELS), "kill: it ended"),
        (([replace(GOOD, flowed_after_seconds=None)], [], 10, AUDIT, MODELS), "no slates"),
        (([GOOD], ["worker-1 ended"], 10, AUDIT, MODELS), "worker-1 ended"),
        (([GOOD], [], 11, AUDIT, MODELS), "acknowledged 11 records and has 10"),
        (([GOOD], [], 10, Report(records=10, lost=1), MODELS), "not clean"),
        (([GOOD], [], 10, AUDIT, ModelReport()), "no worker left a snapshot"),
        (
            ([GOOD], [], 10, AUDIT, ModelReport(models_compared=1, models_different=1, differences=["w: x"])),
            "w: x",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_a_line(found, said: str) -> None:
    (line,) = wrongs(*found)
    assert said in line
