"""Forgetting a user, on a terminal: what there is, and what is left then."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.forget import Known, Left
from stream.screens.dlq import printable


def print_known(console: Console, known: Known) -> None:
    """Print what there is of the user."""
    profile = f"a profile of {known.profile_bytes:,} bytes" if known.profile_bytes else "no profile"
    slates = f"{known.slates:,} slate{'' if known.slates == 1 else 's'} in the log"
    text = f"{printable(known.key)}: {profile} and {slates}, partition {known.partition}"
    console.print(Text(text))


def print_left(console: Console, left: Sequence[Left]) -> None:
    """Print what stays where, and for how long."""
    console.print("What stays, and for how long at most:", highlight=False)
    table = Table("where", "what", "how long", "what ends it", box=None)
    for each in left:
        table.add_row(*(Text(cell) for cell in (each.where, each.what, duration(each.seconds), each.how)))
    console.print(table, highlight=False)


def duration(seconds: int | None) -> str:
    """A time for people.

    Examples:
        >>> duration(37 * 86_400), duration(4500), duration(None)
        ('37 days', '1.2 hours', 'no limit')
    """
    if seconds is None:
        return "no limit"
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"


def forgotten_json(known: Known, left: Sequence[Left], took_seconds: float | None) -> dict[str, Any]:
    """Everything as plain values; `took_seconds` is None where nothing was sent."""
    return {**known._asdict(), "took_seconds": took_seconds, "left": [each._asdict() for each in left]}
