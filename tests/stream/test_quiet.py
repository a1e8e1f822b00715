"""Repeated wordings are thinned out, and nothing else."""

import logging

import pytest

from stream.quiet import OncePer, quieten


def record(message: str, created: float) -> logging.LogRecord:
    made = logging.LogRecord("lib", logging.WARNING, "", 0, message, (), None)
    made.created = created
    return made


def test_the_same_wording_comes_once_in_its_time() -> None:
    once = OncePer(5.0)
    assert [once.filter(record("down: %s", at)) for at in (0.0, 1.0, 4.9, 5.0, 6.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_another_wording_is_not_held_back() -> None:
    once = OncePer(5.0)
    assert once.filter(record("down", 0.0))
    assert once.filter(record("up", 0.1))


def test_only_the_named_library_is_thinned_out(caplog: pytest.LogCaptureFixture) -> None:
    noisy, other = logging.getLogger("noisylib.sender"), logging.getLogger("noisylibrary")
    quieten("noisylib")
    for _ in range(3):
        noisy.warning("gone")
        other.warning("mine")
    assert [r.name for r in caplog.records].count("noisylib.sender") == 1
    assert [r.name for r in caplog.records].count("noisylibrary") == 3
    noisy.filters.clear()
    logging.getLogger("noisylib").filters.clear()
