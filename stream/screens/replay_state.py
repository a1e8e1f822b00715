"""A user's past on a screen: the profile of then, and the slate published beside the one decided again."""

from typing import Any

from msgspec import to_builtins
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.inspection import counted, interactions
from stream.replay_state import Part, PastState
from stream.screens.replay import moment

ITEMS = 12
"""Latest interactions shown; --json has all."""
SHOWN = 44
"""Characters of a value that are shown."""


def print_past(console: Console, past: PastState) -> None:
    """Print everything."""
    title = Text.assemble(("shopper ", "dim"), (past.user_id, "bold"))
    title.append(f"  at {moment(past.at)} UTC, partition {past.partition}", "dim")
    console.print(title)
    profile = past.profile
    counts = ", ".join(f"{count:,} {name}" for name, count in counted(profile).items())
    console.print(f"  events       {counts or 'none'}", highlight=False)
    latest = list(reversed(interactions(profile)))[:ITEMS]
    console.print(
        Text("  items        " + (", ".join(f"{item} ({kind})" for item, kind, _ in latest) or "none"))
    )
    opened = ", ".join(slate.slate_id for slate in reversed(profile.open_slates))
    console.print(Text(f"  open slates  {opened or 'none'}"))
    if past.slate is None:
        console.print("no slate of that time is in the log", style="yellow")
    else:
        console.print(
            Text(f"slate {past.slate.slate_id} of {moment(past.slate.time)} UTC, decided again", "bold")
        )
    console.print(_table(past), highlight=False)
    console.print(_verdict(past))


def as_json(past: PastState) -> dict[str, Any]:
    """The past as plain values, with names where the profile has codes."""
    profile = past.profile
    told: dict[str, Any] = to_builtins(
        {name: getattr(past, name) for name in past.__struct_fields__ if name != "profile"}
    )
    told["profile"] = {
        "items": [
            {"item_id": item, "type": kind, "time": time} for item, kind, time in interactions(profile)
        ],
        "counts": counted(profile),
        "session_start": profile.session_start,
        "last_time": profile.last_time,
        "open_slates": [slate.slate_id for slate in profile.open_slates],
    }
    return told | {"same": past.is_same}


def _table(past: PastState) -> Table:
    table = Table("part", "same", "published", "decided again", "why", box=None, header_style="bold")
    for part in past.parts:
        table.add_row(part.name, _mark(part), _cut(part.published), _cut(part.again), Text(part.why))
    return table


def _mark(part: Part) -> Text:
    if part.same is None:
        return Text("?", "yellow")
    return Text("yes", "green") if part.same else Text("no", "red")


def _cut(text: str) -> Text:
    return Text(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def _verdict(past: PastState) -> Text:
    if past.again is None:
        return Text("nothing was decided again")
    models = f"models of {past.folded:,} records"
    if past.assumed_order:
        models += f", {past.assumed_order:,} of them in an order that the log does not say"
    if past.is_same:
        return Text(f"the same bit for bit; {models}", "green")
    return Text(f"not the same; {models}", "red")
