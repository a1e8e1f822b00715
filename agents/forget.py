"""The command that has a user forgotten."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from agents.options import quiet
from state.event import DEFAULT_TENANT
from stream.config import load_settings
from stream.interrupt import Interruptible

FORGET_EXAMPLES = (
    "Examples: [bold]freshslate forget u-4821193 --dry-run[/], "
    "[bold]freshslate forget u-4821193 --tenant north --yes --json[/]"
)


def forget(
    user: Annotated[str, typer.Argument(help="The user_id, or the anonymous_id, of the events.")],
    tenant: Annotated[str, typer.Option(help="The tenant of the events.")] = DEFAULT_TENANT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what there is and what stays; stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Most seconds to wait for a worker to do it.")] = 60.0,
    as_text: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Have workers delete a user's profile and withdraw the slates; say what stays where, and for how long.

    Sends a record of type forget behind the user's events, and waits until a worker has done it. Events that
    come later begin a new profile: stop sending them first. Who comes with an anonymous_id and a user_id is
    two users here.
    """
    from stream import forget as forgetting  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.forget import forgotten_json, print_known, print_left  # noqa: PLC0415

    quiet()
    settings = load_settings()
    out = Console()
    known = asyncio.run(forgetting.look(settings, user, tenant))
    left = asyncio.run(forgetting.left_behind(settings))
    if not as_text:
        print_known(out, known)
    took = None
    if not dry_run:
        if not yes:
            typer.confirm("Forget this user?", abort=True, err=True)
        with Interruptible() as interruptible:
            took = interruptible.run(forgetting.forget(settings, known, wait_seconds=wait))
    if as_text:
        typer.echo(json.dumps(forgotten_json(known, left, took), indent=2))
        return
    if took is not None:
        out.print(f"forgotten, in {took:.1f} s", highlight=False)
    print_left(out, left)
