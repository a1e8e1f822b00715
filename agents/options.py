"""What several commands share."""

import logging

import typer


def milliseconds_of(text: str) -> int:
    """A duration option such as 24h, in milliseconds."""
    from stream.experiment import duration_ms  # noqa: PLC0415 - the runtime takes a second to import

    try:
        return duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def quiet() -> None:
    """The client tells every retry on standard error; what fails for good is raised."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
