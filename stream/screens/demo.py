"""The demo's screen: start-up, a line per click, the last slate in full, and the counts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from state.event import Event
from state.slate import Slate, SlateItem

TOP: Final = 5
"""Items shown of a slate, where the line has room for them."""
LEFT: Final = 33
"""Columns before the first item."""
CELL: Final = 15
"""Columns of an item."""
VERBS: Final[Mapping[str, str]] = {"add_to_cart": "cart", "remove_from_cart": "uncart", "purchase": "order"}
TAGS: Final[Mapping[str, tuple[str, str, str]]] = {
    "session_knn": ("s", "cyan", "similar sessions"),
    "sequence_rules": ("r", "magenta", "followed before"),
    "popularity": ("p", "yellow", "popular"),
    "history": ("h", "blue", "own earlier items"),
}
"""Letter, colour and meaning of a candidate source."""


class DemoScreen:
    """Prints the demo; on a terminal with colours and one moving line, else plain lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._told = ""
        self._last: Slate | None = None
        self._shown = 0
        self._hits = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show what is being done now, for as long as the block lasts."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("") as self._status:
            yield
        self._status = None

    def doing(self, what: str) -> None:
        """Say what is being done now."""
        if what == self._told:
            return
        self._told = what
        if self._status is not None:
            self._status.update(escape(what))
        else:
            self._console.print(f"... {what}", highlight=False, markup=False)

    def running(self, what: str) -> None:
        """Show a number that changes all the time; nothing without a terminal."""
        if self._status is not None:
            self._status.update(escape(what))

    def done(self, what: str, detail: str) -> None:
        """Say that a part of the start-up is done."""
        self._console.print(Text.assemble(("  ✓ ", "green"), (f"{what:<9}", "bold"), detail))

    def title(self, credit: str) -> None:
        """Say what this is."""
        self._console.print(
            "[bold]Freshslate[/]: a click changes what the shopper sees next, exactly once.\n"
            "This is a real Kafka, a real worker, and clicks of real shoppers.\n"
            f"[dim]Data: {credit}[/]\n",
            highlight=False,
        )

    def legend(self, shopper: str) -> None:
        """Explain the lines to come."""
        legend = Text.assemble(
            f"\nLive: what shopper {shopper} does, how long it took until their new slate\n"
            "could be read from Kafka, and the top of it. Others click at the same time.\n  ",
            ("+", "bold green"),
            " not in the slate before   ",
            ("✓3", "bold green"),
            " the slate before had this item, in place 3\n  why:",
        )
        for letter, colour, meaning in TAGS.values():
            legend.append("  ")
            legend.append(letter, colour)
            legend.append(f" {meaning}")
        self._console.print(legend)
        self._console.print()

    def slate(self, event: Event, slate: Slate, milliseconds: float) -> None:
        """Print one line: the event, and the slate that answers it."""
        item_id = event.items[0].item_id if event.items else ""
        before = {item.item_id: item.position for item in self._last.items} if self._last else {}
        place = before.get(item_id)
        self._shown += 1
        self._hits += place is not None
        line = Text(no_wrap=True, overflow="crop")
        line.append(f"{VERBS.get(event.type, event.type):>6} {item_id:<9}", "bold")
        line.append(f"{f'✓{place}' if place else '':<4}", "bold green")
        line.append(f"{milliseconds:>6.0f} ms → ", "dim")
        for item in slate.items[: max(1, min(TOP, (self._console.width - LEFT) // CELL))]:
            line.append_text(_cell(item, is_new=self._last is not None and item.item_id not in before))
        self._console.print(line)
        self._last = slate

    def explain(self) -> None:
        """Print the last slate in full: what the decision log holds."""
        slate = self._last
        if slate is None:
            return
        self._console.print(
            f"\nThe last of these slates, chosen from {slate.candidates} candidates by policy "
            f"{slate.policy}.\n"
            "[dim]propensity: the probability of this item in this place. It is in the log, so that\n"
            "any other policy can be judged by it.[/]",
            highlight=False,
        )
        self._console.print(slate_table(slate, limit=TOP))
        self._console.print(
            f"{self._hits} of {self._shown} events were about an item that the slate before had shown.\n",
            highlight=False,
        )

    def summary(self, rows: Mapping[str, str], *, is_good: bool) -> None:
        """Print the counts."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(name, value)
        self._console.print(table, highlight=False)
        verdict = (
            ("Nothing lost, nothing twice.", "bold green")
            if is_good
            else ("Something is wrong, see above.", "bold red")
        )
        self._console.print(Text(*verdict))

    def kept(self, variables: Mapping[str, str], shopper: str) -> None:
        """Say how to look around while everything still runs."""
        self._console.print("\nAll of it still runs, until Ctrl-C. In another terminal:")
        for name, value in variables.items():
            self._console.print(f"  export {name}={value}", highlight=False, markup=False)
        self._console.print(f"  freshslate inspect {shopper}", highlight=False, markup=False)


def slate_table(slate: Slate, *, limit: int | None = None) -> Table:
    """A slate's items, each with why it is there."""
    table = Table("place", "item", "score", "propensity", "why", box=None, header_style="dim", padding=(0, 2))
    for item in slate.items[:limit]:
        table.add_row(
            str(item.position),
            Text(item.item_id),
            f"{item.score:.3f}",
            f"{item.propensity:.4f}",
            reasons(item),
        )
    return table


def reasons(item: SlateItem) -> Text:
    """Every candidate source that proposed the item, the strongest first, with its part of the score."""
    told = Text()
    for source in sorted(item.sources, key=lambda source: -source.score):
        _, colour, meaning = TAGS.get(source.name, ("", "", source.name))
        told.append(", " if told else "")
        told.append(meaning, colour)
        told.append(f" {source.score:.2g}")
    return told


def _cell(item: SlateItem, *, is_new: bool) -> Text:
    cell = Text("+" if is_new else " ", "bold green")
    cell.append(item.item_id, "green" if is_new else "")
    cell.append("·", "dim")
    for source in sorted(item.sources, key=lambda source: -source.score):
        letter, colour, _ = TAGS.get(source.name, ("?", "", ""))
        cell.append(letter, colour)
    cell.pad_right(max(1, CELL - len(cell)))
    return cell
