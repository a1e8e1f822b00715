"""Whether what a container is told to run is a command of ours."""

from typing import Any

import typer.main

from agents.commands import app


def parse(args: list[str]) -> str:
    """The name of the command that these arguments are for.

    Raises:
        Exception: A usage error of the command line: there is no such command or option.
    """
    command: Any = typer.main.get_command(app)
    name: str | None = ""
    while hasattr(command, "resolve_command"):
        context = command.context_class(command)
        name, command, args = command.resolve_command(context, args)
    command.make_context(name, list(args))
    return str(name)
