"""The commands of dead letters."""

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer
from rich.console import Console

from agents.options import moment_of, quiet
from state.errors import REASONS
from state.event import DEFAULT_TENANT
from stream.config import Settings, load_settings
from stream.interrupt import Interruptible

if TYPE_CHECKING:
    from stream.letters import Filter, Found, Id

dlq_app = typer.Typer(help="Dead letters: list, show, send again, drop.", no_args_is_help=True)
out = Console()

Ids: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="[LETTER]...", help="Such as 3-17, as dlq list names them.")
]
Reasons: TypeAlias = Annotated[
    list[str] | None, typer.Option("--reason", help="Only these reasons; again for another one.")
]
Topic: TypeAlias = Annotated[str | None, typer.Option(help="Only of this input, with or without the prefix.")]
Partition: TypeAlias = Annotated[int | None, typer.Option(min=0, help="Only of this partition.")]
User: TypeAlias = Annotated[str | None, typer.Option(help="Only of this user, by key or value.")]
Tenant: TypeAlias = Annotated[str, typer.Option(help="The user's tenant.")]
From: TypeAlias = Annotated[
    str | None, typer.Option("--from", help="Only letters written from then on: ISO 8601 or epoch ms.")
]
To: TypeAlias = Annotated[str | None, typer.Option("--to", help="Only letters written before then.")]
AsText: TypeAlias = Annotated[bool, typer.Option("--json", help="Everything as JSON.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]


@dlq_app.command(
    "list",
    epilog="Examples: [bold]freshslate dlq list[/], "
    "[bold]freshslate dlq list --reason time_too_old --json[/]",
)
def list_letters(
    reason: Reasons = None,
    topic: Topic = None,
    partition: Partition = None,
    user: User = None,
    tenant: Tenant = DEFAULT_TENANT,
    first: From = None,
    end: To = None,
    limit: Annotated[int, typer.Option(min=0, help="How many of the latest letters.")] = 20,
    as_text: AsText = False,
) -> None:
    """Count the letters that wait, by topic and reason, and list the latest.

    What was redriven or dropped waits no more. Reads the whole topic, or from --from on.
    """
    from stream import letters  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.dlq import found_json, print_found  # noqa: PLC0415

    quiet()
    settings = load_settings()
    which = _filter(settings, None, reason, topic, partition, (user, tenant), (first, end))
    found = asyncio.run(letters.find(settings, which))
    ids = letters.latest(found, limit)
    shown = asyncio.run(letters.collected(settings, ids))
    if as_text:
        typer.echo(json.dumps(found_json(found, shown), indent=2))
    else:
        print_found(out, found, shown)


@dlq_app.command(
    epilog="Examples: [bold]freshslate dlq show 3-17[/], [bold]freshslate dlq show 3-17 0-4 --json[/]"
)
def show(
    letter: Annotated[list[str], typer.Argument(help="Such as 3-17, as dlq list names them.")],
    as_text: AsText = False,
) -> None:
    """Print letters whole: why, from where, headers, key and value.

    Bytes that a terminal would obey are escaped. Letters that were dealt with are still there.
    """
    from stream import letters  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.dlq import letter_json, print_letter  # noqa: PLC0415

    quiet()
    ids = list(map(_id_of, letter))
    found = asyncio.run(letters.collected(load_settings(), ids))
    there = {each.name for each in found}
    if missing := [name for name in letter if name not in there]:
        message = f"no dead letter {', '.join(missing)}: freshslate dlq list names those that there are"
        raise letters.DeadLetterError(message)
    if as_text:
        typer.echo(json.dumps([letter_json(each) for each in found], indent=2))
        return
    for each in found:
        print_letter(out, each)


@dlq_app.command(
    epilog="Examples: [bold]freshslate dlq redrive --dry-run[/], "
    "[bold]freshslate dlq redrive --reason too_many_items --rate 200[/]"
)
def redrive(
    letter: Ids = None,
    reason: Reasons = None,
    topic: Topic = None,
    partition: Partition = None,
    user: User = None,
    tenant: Tenant = DEFAULT_TENANT,
    first: From = None,
    end: To = None,
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Most letters a second.")] = 1000.0,
    times: Annotated[
        Literal["keep", "now"],
        typer.Option(help="keep: records have their own Kafka timestamps again. now: the present one."),
    ] = "keep",
    every: Annotated[
        bool, typer.Option("--all", help="Those too that these settings would refuse again.")
    ] = False,
    dry_run: DryRun = False,
    as_text: AsText = False,
) -> None:
    """Send letters to the topic and partition they came from again, with key, value, headers and event id.

    Each once: a second run, a run beside this one and a run after a kill send nothing again. Letters that the
    present settings would refuse again stay where they are. No filter means all that wait.
    """
    from stream.letters import find  # noqa: PLC0415 - the runtime takes a second to import
    from stream.redrive import Run, judge, parted  # noqa: PLC0415
    from stream.screens.dlq import RunScreen, print_plan, run_json  # noqa: PLC0415
    from stream.worker import event_rules  # noqa: PLC0415

    quiet()
    settings = load_settings()
    which = _filter(settings, letter, reason, topic, partition, (user, tenant), (first, end))
    asked = judge(settings, event_rules(settings), times)

    def planned(found: "Found") -> "list[Id]":
        ids, kept = parted(found, every=every)
        if not as_text:
            print_plan(out, found, kept, "dry run, would be sent again" if dry_run else "sending again")
        return ids

    async def run(screen: RunScreen) -> "tuple[Found, int]":
        async with Run(settings, screen.show) as its:
            found = await find(settings, which, judge=asked)
            return found, await its.redrive(planned(found), rate=rate, times=times)

    if dry_run:
        found = asyncio.run(find(settings, which, judge=asked))
        done = len(planned(found))
    else:
        with Interruptible() as interruptible, RunScreen(_progress(as_text), "sent again") as screen:
            found, done = interruptible.run(run(screen))
    if as_text:
        typer.echo(json.dumps(run_json(found, done, dry_run=dry_run), indent=2))
    elif not dry_run:
        out.print(f"{done:,} sent again", highlight=False)


@dlq_app.command(
    epilog="Examples: [bold]freshslate dlq drop --reason not_json --dry-run[/], "
    "[bold]freshslate dlq drop 3-17 --yes[/]"
)
def drop(
    letter: Ids = None,
    reason: Reasons = None,
    topic: Topic = None,
    partition: Partition = None,
    user: User = None,
    tenant: Tenant = DEFAULT_TENANT,
    first: From = None,
    end: To = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_text: AsText = False,
) -> None:
    """Mark letters as dealt with: they are no longer listed, nor sent again. Asks first.

    They are not erased: a topic loses records at its beginning only, after FRESHSLATE_DLQ_RETENTION_SECONDS.
    No filter means all that wait.
    """
    from msgspec.structs import replace  # noqa: PLC0415

    from stream.letters import find  # noqa: PLC0415 - the runtime takes a second to import
    from stream.redrive import Run  # noqa: PLC0415
    from stream.screens.dlq import RunScreen, print_plan, run_json  # noqa: PLC0415

    quiet()
    settings = load_settings()
    which = _filter(settings, letter, reason, topic, partition, (user, tenant), (first, end))
    found = asyncio.run(find(settings, which))
    done = len(found.ids)
    if not as_text:
        print_plan(out, found, Counter(), "dry run, would be dropped" if dry_run else "to be dropped")
    if done and not dry_run:
        # Asked for on standard error, so that it is no part of the JSON.
        if not yes:
            typer.confirm(f"Drop {done:,}?", abort=True, err=True)
        agreed = replace(which, ids=frozenset(found.ids))

        async def run(screen: RunScreen) -> int:
            async with Run(settings, screen.show) as its:
                return await its.drop((await find(settings, agreed)).ids)

        with Interruptible() as interruptible, RunScreen(_progress(as_text), "dropped") as screen:
            done = interruptible.run(run(screen))
    if as_text:
        typer.echo(json.dumps(run_json(found, done, dry_run=dry_run), indent=2))
    elif not dry_run:
        out.print(f"{done:,} dropped", highlight=False)


def _progress(as_text: bool) -> Console:
    """Where progress goes: standard output is for the result alone where that is JSON."""
    return Console(stderr=True) if as_text else out


def _id_of(text: str) -> "Id":
    partition, _, offset = text.partition("-")
    if not (partition.isdecimal() and offset.isdecimal()):
        message = f"{text!r} is no letter such as 3-17; freshslate dlq list names them"
        raise typer.BadParameter(message)
    return int(partition), int(offset)


def _filter(
    settings: Settings,
    ids: list[str] | None,
    reasons: list[str] | None,
    topic: str | None,
    partition: int | None,
    user: tuple[str | None, str],
    window: tuple[str | None, str | None],
) -> "Filter":
    """The letters that the options mean.

    Raises:
        typer.BadParameter: An option means none at all.
    """
    from stream.letters import Filter  # noqa: PLC0415 - the runtime takes a second to import

    if unknown := sorted(set(reasons or ()) - set(REASONS)):
        message = f"{unknown[0]!r} is no reason; there are {', '.join(REASONS)}"
        raise typer.BadParameter(message)
    if topic is not None and topic not in settings.input_topics:
        topic = settings.topic_prefix + topic
        if topic not in settings.input_topics:
            message = f"{topic!r} is no input; FRESHSLATE_INPUTS names {', '.join(settings.input_topics)}"
            raise typer.BadParameter(message)
    name, tenant = user
    first, end = (None if text is None else moment_of(text) for text in window)
    return Filter(
        ids=frozenset(map(_id_of, ids or ())),
        reasons=frozenset(reasons or ()),
        topic=topic,
        partition=partition,
        user=None if name is None else (tenant, name),
        first=first,
        end=end,
    )
