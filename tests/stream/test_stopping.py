"""A stop that takes too long is given up, in one line."""

import logging
import threading

import pytest

from stream.stopping import GAVE_UP, Stopping


def test_a_stop_that_outlasts_its_seconds_says_what_it_waited_for_and_ends_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codes: list[int] = []
    left = threading.Event()

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    stopping = Stopping(0.01, leave=leave)
    stopping.waits_for = "the running cycle to be committed"
    with caplog.at_level(logging.ERROR):
        stopping.begin()
        stopping.begin()
        assert left.wait(30)
        assert stopping._timer is not None
        stopping._timer.join(30)
    assert codes == [GAVE_UP]
    (line,) = caplog.messages
    assert "after 0.01 s (FRESHSLATE_STOP_SECONDS), waiting for the running cycle to be committed" in line
    assert "\n" not in line


def test_the_count_keeps_no_process_from_ending() -> None:
    stopping = Stopping(3600, leave=pytest.fail)
    stopping.begin()
    assert stopping._timer is not None
    assert stopping._timer.daemon
    stopping._timer.cancel()
