import logging

import pytest
import typer

from agents.options import milliseconds_of, quiet


def test_a_duration_is_milliseconds() -> None:
    assert milliseconds_of("1.5h") == 5_400_000


def test_no_duration_is_a_usage_error() -> None:
    with pytest.raises(typer.BadParameter, match="no duration such as"):
        milliseconds_of("soon")


def test_the_client_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    client = logging.getLogger("aiokafka")
    monkeypatch.setattr(client, "level", logging.NOTSET)
    quiet()
    assert not client.isEnabledFor(logging.ERROR)
