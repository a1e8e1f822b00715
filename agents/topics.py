"""The commands of the topics: make them, check them, move to others."""

import asyncio
from typing import Annotated, Final

import typer
from rich.console import Console

from agents.options import quiet
from stream.cluster import cluster_problems
from stream.config import load_settings
from stream.connection import connection
from stream.topics import create_topics, topic_specs

topics_app = typer.Typer(help="Create the topics, check them, move to others.", no_args_is_help=True)
out = Console()

RISKY: Final = 3
"""Exit code of a check that found nothing but risks."""


@topics_app.command(epilog="Example: [bold]freshslate topics create[/]")
def create() -> None:
    """Create every topic that is missing, with its configuration; the others stay as they are."""
    settings = load_settings()
    created = asyncio.run(create_topics(connection(settings), topic_specs(settings)))
    out.print("\n".join(f"created {name}" for name in created) or "nothing to create", highlight=False)


@topics_app.command(epilog="Example: [bold]freshslate topics check[/]")
def check() -> None:
    """Compare the topics with what the settings ask for: a line for each problem, with what mends it.

    Exit code 0: all fits. 1: a worker would not start, or no broker answers. 3: a worker starts, but what is
    written may not be as safe, or be kept as long, as the settings say.
    """
    settings = load_settings()
    problems = asyncio.run(cluster_problems(settings))
    for problem in problems:
        typer.echo(f"{'wrong' if problem.stops else 'risk'}: {problem.text}", err=True)
    if problems:
        raise typer.Exit(1 if any(problem.stops for problem in problems) else RISKY)
    out.print(f"{len(topic_specs(settings))} topics are as they should be")


@topics_app.command(
    epilog="Examples: [bold]freshslate topics move --to-prefix v2. --to-app-id shop-v2 --partitions 32[/], "
    "[bold]freshslate topics move --to-prefix eu. --to-app-id shop-eu --to-broker kafka-eu:9092[/]"
)
def move(
    to_prefix: Annotated[str, typer.Option(help="FRESHSLATE_TOPIC_PREFIX of the new topics.")],
    to_app_id: Annotated[str, typer.Option(help="FRESHSLATE_APP_ID of the new workers.")],
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Partitions of the new topics; as many as now if not given.")
    ] = None,
    to_broker: Annotated[str | None, typer.Option(help="Another cluster's bootstrap servers.")] = None,
) -> None:
    """Move everything that is known to new topics: for another partition count, prefix or cluster.

    The workers of the old topics must have processed every event and must have ended. Profiles are read back
    and compared byte for byte; exit code 1 if one differs, or if it cannot begin. The old topics stay as they
    are. The steps before and after: docs/operations.md, runbook.
    """
    from stream.move import move as move_topics  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.move import print_moved  # noqa: PLC0415

    quiet()
    settings = load_settings()
    changes = {"topic_prefix": to_prefix, "app_id": to_app_id, "partitions": partitions, "broker": to_broker}
    target = load_settings(**{name: value for name, value in changes.items() if value is not None})
    moved = asyncio.run(move_topics(settings, target, lambda topic, count: out.print(f"{topic}: {count:,}")))
    print_moved(out, moved, target)
    if not moved.is_whole:
        raise typer.Exit(1)
