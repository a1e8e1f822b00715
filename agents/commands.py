"""The `freshslate` command: one function a subcommand, each a few lines of wiring."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from msgspec import to_builtins
from rich.console import Console

from agents.api import API_EXAMPLES, KEY_EXAMPLES, api_key
from agents.api import api as serve_api
from agents.dlq import dlq_app
from agents.evaluation import EXAMPLES, evaluate
from agents.export import EXPORT_EXAMPLES, export
from agents.file_options import Catalogue, Columns, FormatName, Limit, event_file
from agents.forget import FORGET_EXAMPLES, forget
from agents.monitor import MONITOR_EXAMPLES, monitor
from agents.offpolicy import EXAMPLES as OPE_EXAMPLES
from agents.offpolicy import ope
from agents.options import milliseconds_of, quiet, speed_of
from agents.policy import policy_app
from agents.ranker import ranker, train_ranker
from agents.replay_state import REPLAY_STATE_EXAMPLES, replay_state
from agents.topics import topics_app
from state.errors import FreshslateError
from state.event import DEFAULT_TENANT
from state.simulation.config import ShopConfig, demo_config
from stream.broker import Broker, BrokerError
from stream.child import ended
from stream.cluster import check_cluster
from stream.config import Settings, load_settings
from stream.entry_points import installed
from stream.formats import FORMATS
from stream.inspection import as_json, inspect_user
from stream.interrupt import Interruptible
from stream.model_file import read_model_file
from stream.replay import replay as send_events
from stream.replay import replay_items
from stream.screens.formats import print_formats
from stream.screens.inspection import print_inspection
from stream.screens.replay import ReplayScreen, print_items, print_report
from stream.screens.settings import print_model, print_plugins, print_settings
from stream.settings_table import settings_table
from stream.times import now_ms

if TYPE_CHECKING:
    from stream.simulate import SimulateOptions

app = typer.Typer(
    name="freshslate",
    help="Streaming personalization on Kafka: a click changes the slate, exactly once.",
    epilog="Settings come from FRESHSLATE_* variables; [bold]freshslate settings[/] lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(topics_app, name="topics")
app.add_typer(policy_app, name="policy")
app.add_typer(dlq_app, name="dlq")
out = Console()


def main() -> None:
    """Run the command. What stops it on purpose is one message and exit code 1; Ctrl-C is 130."""
    try:
        app()
    except (FreshslateError, BrokerError, PermissionError) as error:
        typer.secho(f"freshslate: {error}", fg="red", err=True)
        sys.exit(1)


@app.command(
    epilog="Examples: [bold]freshslate demo --seconds 60 --json demo.json[/], "
    "[bold]freshslate demo --workers 2 --kill-every 10[/]"
)
def demo(
    seconds: Annotated[float, typer.Option(min=1, help="Length of the live part.")] = 60.0,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Worker processes.")] = 1,
    rate: Annotated[float, typer.Option(min=1, max=5000, help="Events a second, on average.")] = 100.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another shop.")] = 1,
    kill_every: Annotated[
        float | None, typer.Option(min=1, help="Kill a worker (kill -9) each so many seconds.")
    ] = None,
    result: Annotated[Path | None, typer.Option("--json", help="File to write the result to.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it all running until Ctrl-C.")] = False,
    api: Annotated[bool, typer.Option(help="Serve the console, to click and look on in a browser.")] = True,
) -> None:
    """See it learn: a broker, workers and a simulated shop, live; and what learning is worth.

    Half of the shoppers get random slates, to compare with. Needs nothing but Python, and leaves nothing
    behind. With FRESHSLATE_BROKER set it uses that broker, with topics of its own. Exit code 1 if anything
    was lost or came twice.
    """
    from stream.demo import DemoOptions, run_demo  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.demo import DemoScreen  # noqa: PLC0415

    quiet()
    options = DemoOptions(seconds, workers, rate, seed, kill_every, result, keep, api)
    if not run_demo(options, DemoScreen(out)):
        raise typer.Exit(1)


@app.command(
    epilog="Examples: [bold]freshslate drill --seconds 600 --json drill.json[/], "
    "[bold]freshslate drill --faults kill,zombie,broker_kill --seconds 0[/], "
    "[bold]freshslate drill --guarantee at_least_once[/]"
)
def drill(
    seconds: Annotated[float, typer.Option(min=0, help="At least so long; every fault comes once.")] = 360.0,
    rate: Annotated[float, typer.Option(min=10, max=5000, help="Events a second.")] = 500.0,
    workers: Annotated[int, typer.Option(min=2, max=8, help="Worker processes.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the load, the order of faults and whom they hit.")] = 1,
    guarantee: Annotated[
        Literal["exactly_once", "at_least_once"], typer.Option(help="What the workers promise.")
    ] = "exactly_once",
    faults: Annotated[
        str, typer.Option(help="Names, comma separated, or 'list' to see them; default: all of them.")
    ] = "",
    result: Annotated[Path | None, typer.Option("--json", help="File to write the result to.")] = None,
) -> None:
    """Prove it: kill, freeze, cut off, wipe and flood real workers and their broker, then audit the log.

    Starts a broker of its own, because it kills it. At the end every event is folded once more in this
    process and compared with what the workers wrote. Exit code 1 if anything was lost, came twice or differs,
    or a worker did something else than docs/operations.md says.
    """
    from stream.drill.acts import FAULTS  # noqa: PLC0415
    from stream.drill.run import DrillOptions, run_drill  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.drill import DrillScreen  # noqa: PLC0415

    quiet()
    if faults == "list":
        out.print("\n".join(f"{name:<17} {fault.about}" for name, fault in FAULTS.items()), highlight=False)
        return
    names = tuple(name.strip() for name in faults.split(",") if name.strip())
    options = DrillOptions(seconds, rate, workers, seed, guarantee, names, json=result)
    if not run_drill(options, DrillScreen(out)):
        raise typer.Exit(1)


@app.command(epilog="Example: [bold]freshslate kafka --port 9092 --data .freshslate/kafka[/]")
def kafka(
    port: Annotated[int | None, typer.Option(help="Port to listen on; any free one if not given.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder to keep; a temporary one if not given.")] = None,
) -> None:
    """Run a real Apache Kafka on this machine until Ctrl-C, from Python packages alone."""
    with Interruptible(), Broker.start(data, port) as broker:
        out.print(f"Kafka answers on [bold]{broker.address}[/]; stop it with Ctrl-C", highlight=False)
        out.print(f"  export FRESHSLATE_BROKER={broker.address}", highlight=False)
        with contextlib.suppress(KeyboardInterrupt):
            ended(broker.pid)
            log = (broker.data_dir / "kafka.log").read_text(errors="replace")
            message = f"Kafka ended by itself; the last it printed:\n{log[-2000:]}"
            raise BrokerError(message)


@app.command(epilog="Example: [bold]FRESHSLATE_BROKER=localhost:9092 freshslate worker[/]")
def worker() -> None:
    """Run one worker until Ctrl-C. `faust -A agents worker` does the same.

    Every setting comes from the environment: see [bold]freshslate settings[/]. Start as many as there are
    cores to use; they share the partitions.
    """
    from agents.personalize import run_worker  # noqa: PLC0415 - the runtime takes a second to import

    loaded = load_settings()
    # Before faust starts, so that what is missing is one line and not a log.
    asyncio.run(check_cluster(loaded, "worker"))
    run_worker(loaded)


@app.command(epilog="Example: [bold]FRESHSLATE_PARTITIONS=16 freshslate settings | grep PARTITIONS[/]")
def settings() -> None:
    """Print every setting with its value, default, unit and meaning; without a terminal a line each.

    And the parameters of FRESHSLATE_MODEL_FILE, where there is one. Installed candidate sources and policies
    come last.
    """
    loaded = load_settings()
    print_settings(out, settings_table(loaded))
    if loaded.model_file is not None:
        print_model(out, read_model_file(loaded.model_file))
    print_plugins(out, installed())


@app.command(epilog="Example: [bold]freshslate formats[/]")
def formats() -> None:
    """List the file formats that can be replayed and evaluated, with an example each."""
    print_formats(out, FORMATS)


@app.command(
    epilog="Examples: [bold]freshslate replay clicks.csv.gz --format taobao --limit 100000[/], "
    "[bold]freshslate replay events.jsonl --format jsonl --speed 10[/], "
    "[bold]freshslate replay log.csv --format csv --column session=sid,item=sku,time=at[/]"
)
def replay(
    file: Annotated[Path, typer.Argument(help="Plain, gzip or in a zip archive; - is standard input.")],
    form: FormatName,
    speed: Annotated[
        str, typer.Option(help="Times faster than the events' own times; max: as fast as it goes.")
    ] = "max",
    limit: Limit = None,
    times: Annotated[
        Literal["shift", "keep"], typer.Option(help="shift: the last event happens now. keep: as they are.")
    ] = "shift",
    column: Columns = None,
    catalogue: Catalogue = None,
    no_items: Annotated[bool, typer.Option("--no-items", help="Send no catalogue.")] = False,
) -> None:
    """Send a file of events to the input topics, in the order and at the times they happened.

    The catalogue goes first, to the topic items: from --catalogue, else what the events' file says of it.
    Lines that are no event are left out and listed by reason at the end.
    """
    quiet()
    pace = speed_of(speed)
    source = event_file(file, form, limit=limit, columns=column, catalogue=catalogue)
    loaded = load_settings()
    if source.note:
        out.print(f"{form}: {source.note}", highlight=False)
    if not no_items:
        print_items(out, asyncio.run(replay_items(loaded, source.items())), source.item_rejects)
    with ReplayScreen(out, source, file.name) as screen:
        report = asyncio.run(send_events(loaded, screen, speed=pace, times=times, on_progress=screen.show))
    print_report(out, report, source.rejects.examples)


@app.command(
    epilog="Examples: [bold]freshslate inspect u-4821193 --slates 1[/], "
    "[bold]freshslate inspect u-4821193 --follow[/]"
)
def inspect(
    user: Annotated[str, typer.Argument(help="The user_id, or the anonymous_id, of the events.")],
    tenant: Annotated[str, typer.Option(help="The tenant of the events.")] = DEFAULT_TENANT,
    slates: Annotated[int, typer.Option(min=0, help="How many of the latest slates.")] = 3,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with everything that happens, until Ctrl-C.")
    ] = False,
    as_text: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Show what is known of a shopper: session, items, and why each item is in the latest slates.

    Reads the user's partition of two topics; no worker needs to run.
    """
    quiet()
    loaded = load_settings()
    if follow:
        _follow(loaded, user, tenant=tenant, slates=slates, as_text=as_text)
        return
    found = asyncio.run(inspect_user(loaded, user, tenant=tenant, slates=slates))
    if as_text:
        typer.echo(json.dumps(as_json(found), indent=2))
    else:
        print_inspection(out, found, now_ms())


def _follow(loaded: Settings, user: str, *, tenant: str, slates: int, as_text: bool) -> None:
    """Print steps until Ctrl-C, which is a good end."""
    from stream.follow import follow_user  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.timeline import TimelineScreen  # noqa: PLC0415
    from stream.timeline import Step  # noqa: PLC0415
    from stream.timeline import as_json as step_json  # noqa: PLC0415

    def echo(step: Step) -> None:
        typer.echo(json.dumps(step_json(step)))

    with Interruptible() as until, TimelineScreen(out) as screen, contextlib.suppress(KeyboardInterrupt):
        if as_text:
            steps = follow_user(loaded, user, tenant=tenant, slates=slates, on_step=echo)
        else:
            steps = follow_user(
                loaded, user, tenant=tenant, slates=slates, on_step=screen.step, on_progress=screen.doing
            )
        until.run(steps)


@app.command(
    epilog="Examples: [bold]freshslate simulate --rate 500 --seconds 600[/], "
    "[bold]freshslate simulate --file day.jsonl --seconds 86400[/]"
)
def simulate(
    seconds: Annotated[float, typer.Option(min=1, help="How long, in the shop's time.")] = 60.0,
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Events a second, on average.")] = 50.0,
    shoppers: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many there are.")] = 100_000,
    items: Annotated[int, typer.Option(min=120, max=1_000_000, help="How many the shop has.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another shop.")] = 1,
    hasty: Annotated[
        bool, typer.Option("--hasty", help="The demo's shop, where a thought takes a second.")
    ] = False,
    file: Annotated[Path | None, typer.Option(help="Write JSON lines to this file instead.")] = None,
) -> None:
    """Play a simulated shop: its shoppers send events, read their slates, and react to them.

    Its shoppers have hidden tastes, and true click probabilities are known. Needs topics and workers; with
    --file it needs neither, and `freshslate replay FILE --format jsonl` sends it later.
    """
    from stream.screens.demo import DemoScreen  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.experiment import print_comparison  # noqa: PLC0415
    from stream.simulate import SimulateOptions  # noqa: PLC0415
    from stream.simulate import simulate as play  # noqa: PLC0415

    quiet()
    config = (
        demo_config(rate) if hasty else ShopConfig(events_per_second=rate, shoppers=shoppers, items=items)
    )
    options = SimulateOptions(config, seed, seconds)
    if file is not None:
        _write(options, file)
        return
    screen = DemoScreen(out)
    with Interruptible() as interruptible, screen.working():
        found = interruptible.run(play(load_settings(), options, screen))
    print_comparison(out, found)


def _write(options: "SimulateOptions", file: Path) -> None:
    """Write events with a progress bar."""
    from rich.progress import Progress  # noqa: PLC0415

    from stream.simulate import write_events  # noqa: PLC0415

    with Progress(console=out) as progress, file.open("wb") as sink:
        bar = progress.add_task(file.name, total=options.seconds)
        count = write_events(options, sink, on_progress=lambda _, done: progress.update(bar, completed=done))
    out.print(f"{count:,} events of {options.seconds:g} s written to {file}", highlight=False)


@app.command(epilog="Example: [bold]freshslate compare --since 24h[/]")
def compare(
    since: Annotated[
        str | None, typer.Option(help="Only the latest 90s, 30m, 24h, 7d; default: everything.")
    ] = None,
    as_text: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Compare users of learned slates with the control group: CTR, conversion, revenue per session.

    Reads the slates and the input topics; no worker needs to run. Needs FRESHSLATE_RANDOM_SHARE above 0.
    """
    from stream.experiment import compare_groups  # noqa: PLC0415 - the runtime takes a second to import
    from stream.screens.experiment import print_comparison  # noqa: PLC0415

    quiet()
    begin = None if since is None else now_ms() - milliseconds_of(since)
    found = asyncio.run(compare_groups(load_settings(), since=begin))
    if as_text:
        typer.echo(json.dumps(to_builtins(found), indent=2))
    else:
        print_comparison(out, found)


app.command("api", epilog=API_EXAMPLES)(serve_api)
app.command("api-key", epilog=KEY_EXAMPLES)(api_key)
app.command(epilog=EXAMPLES)(evaluate)
app.command(epilog=EXPORT_EXAMPLES)(export)
app.command(epilog=FORGET_EXAMPLES)(forget)
app.command(epilog=MONITOR_EXAMPLES)(monitor)
app.command("replay-state", epilog=REPLAY_STATE_EXAMPLES)(replay_state)
app.command(epilog=OPE_EXAMPLES)(ope)
app.command(
    "train-ranker",
    epilog="Examples: [bold]freshslate train-ranker --since 7d[/], "
    "[bold]freshslate train-ranker --every 6[/]",
)(train_ranker)
app.command(
    epilog="Examples: [bold]freshslate ranker[/], [bold]freshslate ranker --publish monday.ranker[/]"
)(ranker)


if __name__ == "__main__":
    main()
