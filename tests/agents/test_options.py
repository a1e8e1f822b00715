import logging

import pytest
import typer

from agents.options import milliseconds_of, moment_of, quiet


def test_a_duration_is_milliseconds() -> None:
    assert milliseconds_of("1.5h") == 5_400_000


def test_no_duration_is_a_usage_error() -> None:
    with pytest.raises(typer.BadParameter, match="no duration such as"):
        milliseconds_of("soon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-22T17:04:22.733Z", 1_763_831_062_733),
        ("1763831062733", 1_763_831_062_733),
        ("2025-11-22", 1_763_769_600_000),
        ("20251122", 1_763_769_600_000),
        ("2025-11-22T18:04:22+01:00", 1_763_831_062_000),
    ],
)
def test_a_moment_is_iso_or_epoch_milliseconds(text: str, expected: int) -> None:
    assert moment_of(text) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2025-13-01"])
def test_what_is_no_moment_is_told_with_examples(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time such as 2025-11-22T17:04:22Z"):
        moment_of(text)


def test_the_client_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    client = logging.getLogger("aiokafka")
    monkeypatch.setattr(client, "level", logging.NOTSET)
    quiet()
    assert not client.isEnabledFor(logging.ERROR)
