"""The command that watches what slates turn out to be worth."""

import asyncio
import contextlib
import logging
from importlib.util import find_spec
from typing import Annotated

import typer

from agents.options import milliseconds_of, quiet
from state.errors import SetupError
from stream.config import load_settings
from stream.interrupt import Interruptible
from stream.topic_check import check_topics
from stream.topics import topic_specs

MONITOR_EXAMPLES = (
    "Examples: [bold]freshslate monitor[/], "
    "[bold]FRESHSLATE_MONITOR_PORT=6200 freshslate monitor --since 24h[/]"
)


def monitor(
    since: Annotated[str, typer.Option(help="How far back in the log it begins: 90m, 2h, 1d.")] = "2h",
) -> None:
    """Watch rewards by policy and scenario until Ctrl-C: reward rate, CTR, conversion, calibration, drift.

    And exploration, propensity tails and coverage; as metrics for Prometheus, and a line for each drift.
    Reads slates, rewards and deltas; nothing is written, and any number may run. Needs
    pip install 'freshslate[river]'.
    """
    if find_spec("river") is None:
        message = "the monitor needs river: pip install 'freshslate[river]'"
        raise SetupError(message)
    from stream.monitor import MonitorProcess  # noqa: PLC0415 - river takes seconds to import

    settings = load_settings()
    begin = milliseconds_of(since)
    quiet()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(message)s")
    asyncio.run(check_topics(settings.broker, topic_specs(settings)))
    with Interruptible() as until, contextlib.suppress(KeyboardInterrupt):
        until.run(MonitorProcess(settings, begin).run())
