"""One user on a screen: session, items, open slates, and the latest slates with why each item is there."""

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from state.profile import Profile
from state.session import session_items
from state.slate import Slate
from stream.inspection import Inspection, counted, interactions
from stream.screens.replay import moment
from stream.screens.slate import ruled, slate_table

ITEMS: Final = 12
"""Latest interactions shown; --json has all."""
UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


def print_inspection(console: Console, inspection: Inspection, now: int) -> None:
    """Print everything; `now` in epoch milliseconds is what ages count to."""
    title = Text.assemble(("shopper ", "dim"), (inspection.user_id, "bold"))
    if inspection.key != inspection.user_id:
        title.append(f"  key {inspection.key}", "dim")
    title.append(f"  partition {inspection.partition} of {inspection.partitions}", "dim")
    console.print(title)
    if inspection.partition != inspection.expected_partition:
        console.print(
            "[yellow]The default partitioner puts this key into partition "
            f"{inspection.expected_partition}: the producer of these events uses another one (librdkafka: "
            "set partitioner=murmur2_random). That works as long as all producers use the same.[/]",
            highlight=False,
        )
    if inspection.profile is None:
        console.print("no profile: it has expired, or was never written; what is left are slates")
    else:
        _print_profile(console, inspection.profile, now)
    for slate in reversed(inspection.slates):
        _print_slate(console, slate, now)
    if not inspection.slates:
        console.print("\nno slates", style="dim")


def age(milliseconds: int) -> str:
    """A duration in its largest fitting unit, such as `3 min`; `now` below a second."""
    if milliseconds < 0:
        return f"in {age(-milliseconds)}" if milliseconds <= -1000 else "now"
    for size, unit in UNITS:
        if milliseconds >= size:
            return f"{milliseconds // size} {unit}"
    return "now"


def _print_profile(console: Console, profile: Profile, now: int) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    named = f", id {profile.session_id}" if profile.session_id else ""
    table.add_row(
        "session",
        Text(
            f"{len(session_items(profile))} items, from {moment(profile.session_start)} to "
            f"{moment(profile.last_time)} UTC, {age(now - profile.last_time)} ago{named}"
        ),
    )
    table.add_row("events", ", ".join(f"{count:,} {name}" for name, count in counted(profile).items()))
    latest = list(reversed(interactions(profile)))
    items = Text()
    for item_id, kind, time in latest[:ITEMS]:
        items.append(item_id, "bold")
        items.append(f" {kind} {age(now - time)}   ", "dim")
    if len(latest) > ITEMS:
        items.append(f"and {len(latest) - ITEMS} more", "dim")
    table.add_row("items", items)
    slates = [f"{slate.slate_id} ({age(now - slate.time)})" for slate in reversed(profile.open_slates)]
    table.add_row("open slates", Text(", ".join(slates) or "none"))
    console.print(table, highlight=False)


def _print_slate(console: Console, slate: Slate, now: int) -> None:
    heading = Text.assemble(
        "\nslate ",
        (slate.slate_id, "bold"),
        f", {age(now - slate.time)} ago, after event {slate.trigger.event_id}\n",
        (
            f"{len(slate.items)} of {slate.candidates} candidates, policy {slate.policy} "
            f"({slate.policy_version}), scenario {slate.scenario}",
            "dim",
        ),
        (f"\n{ruled(slate)}" if slate.rules else "", "dim"),
    )
    console.print(heading)
    if slate.items:
        console.print(slate_table(slate), highlight=False)
    else:
        console.print("  empty: the models knew no item yet that this shopper had not just bought")
