"""A slate on a screen: the full table with reasons, and one line for a step of a shopper."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from state.slate import Slate, SlateItem
from stream.screens.figures import Glyphs, milliseconds
from stream.view import Step

TOP: Final = 5
"""Items shown of a slate, where the line has room for them."""
ID_COLUMNS: Final = 14
"""A longer item id is cut in a line; the table has all of it."""
VERBS: Final[Mapping[str, str]] = {"add_to_cart": "cart", "remove_from_cart": "uncart", "purchase": "order"}


class Tag(NamedTuple):
    """How a candidate source is shown."""

    letter: str
    colour: str
    word: str
    """For the legend, all of which is one line."""
    meaning: str


TAGS: Final[Mapping[str, Tag]] = {
    "session_knn": Tag("s", "cyan", "session", "similar sessions"),
    "sequence_rules": Tag("r", "magenta", "rule", "followed before"),
    "two_hop": Tag("2", "bright_magenta", "hops", "followed what followed"),
    "popularity": Tag("p", "yellow", "popular", "popular"),
    "category": Tag("c", "bright_yellow", "category", "popular in the category"),
    "hour": Tag("t", "bright_blue", "hour", "popular at this hour"),
    "content": Tag("a", "green", "alike", "alike in the catalogue"),
    "history": Tag("h", "blue", "own", "own earlier items"),
}
"""Letter, colour and meaning of a candidate source."""
MEANINGS: Final[Mapping[str, str]] = {
    "boost": "boosted",
    "category_boost": "category boosted",
    "diversity": "more of the same",
}
"""Of the factors of business rules."""


def slate_table(slate: Slate, *, limit: int | None = None) -> Table:
    """A slate's items, each with why it is there."""
    table = Table("place", "item", "score", "propensity", "why", box=None, header_style="dim", padding=(0, 1))
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
    """Every candidate source that proposed the item, the strongest first, with its part of the score.

    What business rules multiplied it by comes after them.
    """
    told = Text()
    for source in sorted(item.sources, key=lambda source: -source.score):
        tag = TAGS.get(source.name, Tag("?", "", "", source.name))
        told.append(", " if told else "")
        told.append(tag.meaning, tag.colour)
        told.append(f" {source.score:.2g}")
    for rule in item.rules or ():
        told.append("; " if rule is item.rules[0] else ", ", "dim")  # type: ignore[index]  # there is one
        told.append(MEANINGS.get(rule.name, rule.name))
        told.append(f" x{rule.factor:.2g}")
    return told


def ruled(slate: Slate) -> str:
    """What the business rules did to a slate's candidates; empty where there are none."""
    if not slate.rules:
        return ""
    return f"rules {slate.rules.version}: {slate.rules.excluded} excluded, {slate.rules.capped} over a limit"


def letters(item: SlateItem) -> Text:
    """The same as one letter a source."""
    told = Text()
    for source in sorted(item.sources, key=lambda source: -source.score):
        tag = TAGS.get(source.name, Tag("?", "", "", source.name))
        told.append(tag.letter, tag.colour)
    return told


def legend() -> Text:
    """One line that explains the marks of `step_lines`."""
    told = Text.assemble(("+", "bold green"), (" new", "dim"))
    for tag in TAGS.values():
        told.append("  ")
        told.append(tag.letter, tag.colour)
        told.append(f" {tag.word}", "dim")
    return told


def item_cell(item: SlateItem, glyphs: Glyphs, *, is_new: bool) -> Text:
    """An item with its sources, `+tent-12·sr`."""
    cell = Text("+" if is_new else " ", "bold green")
    cell.append(cut(item.item_id, ID_COLUMNS, glyphs), "green" if is_new else "")
    cell.append(glyphs.dot, "dim")
    cell.append_text(letters(item))
    return cell


def step_lines(steps: Sequence[Step], glyphs: Glyphs, width: int) -> list[Text]:
    """A line for every step: what was done, how long the answer took, and the top of the slate in columns.

    Args:
        steps: oldest first.
        glyphs: to draw with.
        width: columns that no line exceeds; says how many items there is room for.
    """
    lines = [_done(step, glyphs) for step in steps]
    _align(lines)
    times = [milliseconds(step.milliseconds, glyphs) for step in steps]
    longest = max(map(len, times), default=0)
    for line, time in zip(lines, times, strict=True):
        line.append(f"  {time:>{longest}} {glyphs.arrow} ", "dim")
    for place in range(TOP):
        wider = [
            line.copy().append_text(_cell_at(place, step, glyphs))
            for line, step in zip(lines, steps, strict=True)
        ]
        if place and max((line.cell_len for line in wider), default=0) > width:
            break
        lines = wider
        _align(lines, gap=1)
    for line in lines:
        line.rstrip()
        line.truncate(width)
    return lines


def _cell_at(place: int, step: Step, glyphs: Glyphs) -> Text:
    """The item at a 0-based place of a step's slate; nothing below its end."""
    if place >= len(step.items):
        return Text()
    item = step.items[place]
    return item_cell(item, glyphs, is_new=item.item_id in step.fresh)


def _align(lines: Sequence[Text], gap: int = 0) -> None:
    """Pad all lines to the longest, and the gap."""
    longest = max((line.cell_len for line in lines), default=0)
    for line in lines:
        line.pad_right(longest + gap - line.cell_len)


def cut(name: str, columns: int, glyphs: Glyphs) -> str:
    """A name in at most so many columns."""
    if cell_len(name) <= columns:
        return name
    return set_cell_size(name, columns - len(glyphs.cut)) + glyphs.cut


def _done(step: Step, glyphs: Glyphs) -> Text:
    text = Text(f"{VERBS.get(step.kind, step.kind):>6}")
    if step.item_id is not None:
        text.append(f" {cut(step.item_id, ID_COLUMNS, glyphs)}", "bold")
    if step.place is not None:
        text.append(f" at {step.place}", "green")
    return text
