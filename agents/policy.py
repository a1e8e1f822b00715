"""The commands of the policy file."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

policy_app = typer.Typer(
    help="Policies by scenario and share of users: FRESHSLATE_POLICY_FILE.", no_args_is_help=True
)


@policy_app.callback()
def policy() -> None:
    """Policies by scenario and share of users: FRESHSLATE_POLICY_FILE."""


@policy_app.command(
    epilog="Examples: [bold]freshslate policy check policy.toml[/], "
    "[bold]freshslate policy check policy.toml --json | jq .version[/]"
)
def check(
    file: Annotated[Path, typer.Argument(help="TOML, as docs/policies.md describes it.")],
    as_text: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Say what a policy file says: arms, shares and versions as slates will name them; or what is wrong.

    Needs no broker. Exit code 1 if workers would refuse the file, with the line and the reason.
    """
    from stream.policy_file import load_plan  # noqa: PLC0415 - numba takes a second to import
    from stream.screens.policy import plan_json, print_plan  # noqa: PLC0415

    plan = load_plan(file)
    if as_text:
        typer.echo(json.dumps(plan_json(plan), indent=2))
    else:
        print_plan(Console(), plan)
