"""The command that rebuilds what was, from the log."""

import json
from typing import Annotated

import typer
from rich.console import Console

from agents.options import moment_of, quiet
from state.event import DEFAULT_TENANT
from stream.config import load_settings
from stream.interrupt import Interruptible

REPLAY_STATE_EXAMPLES = (
    "Examples: [bold]freshslate replay-state --at 2025-11-22T17:04:22.733Z --user u-4821193[/], "
    "[bold]freshslate replay-state --at 1763831062733 --user u-4821193 --json[/]"
)


def replay_state(
    at: Annotated[str, typer.Option(help="ISO 8601, UTC without a zone, or epoch ms; of input records.")],
    user: Annotated[str, typer.Option(help="The user_id, or the anonymous_id, of the events.")],
    tenant: Annotated[str, typer.Option(help="The tenant of the events.")] = DEFAULT_TENANT,
    as_text: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Rebuild a shopper's state at a past moment from the log, and decide the slate of then once more.

    Profile, candidates, items, scores and propensities are compared with what was published, bit for bit.
    Needs the settings of then: policy, models, rules; no worker. Exit code 1 if anything differs.
    """
    from stream.replay_state import replay_state as rebuild  # noqa: PLC0415 - the runtime takes a second
    from stream.screens.replay_state import as_json, print_past  # noqa: PLC0415

    quiet()
    moment = moment_of(at)
    with Interruptible() as until:
        past = until.run(rebuild(load_settings(), user, moment, tenant=tenant))
    if as_text:
        typer.echo(json.dumps(as_json(past), indent=2))
    else:
        print_past(Console(), past)
    if not past.is_same:
        raise typer.Exit(1)
