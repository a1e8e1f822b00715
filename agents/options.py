"""What several commands share."""

import contextlib
import logging

import typer

from stream.times import parse_iso


def milliseconds_of(text: str) -> int:
    """A duration option such as 24h, in milliseconds."""
    from stream.experiment import duration_ms  # noqa: PLC0415 - the runtime takes a second to import

    try:
        return duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def moment_of(text: str) -> int:
    """A point in time: epoch milliseconds, or ISO 8601, without a zone in UTC."""
    try:
        return int(text) if text.isdecimal() and len(text) > 8 else parse_iso(text)
    except ValueError:
        message = f"{text!r} is no time such as 2025-11-22T17:04:22Z, 2025-11-22 or 1763831062733"
        raise typer.BadParameter(message) from None


def quiet() -> None:
    """The client tells every retry on standard error; what fails for good is raised."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def speed_of(text: str) -> float | None:
    """A speed option: `max` is None, no limit."""
    if text == "max":
        return None
    with contextlib.suppress(ValueError):
        if 0 < (speed := float(text)) < float("inf"):
            return speed
    message = f"{text!r} is neither max nor a number above 0"
    raise typer.BadParameter(message)
