"""The model card of a ranker."""

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.ranker import Artefact
from stream.times import format_iso

FEATURES: Final = 10
"""Most important features shown; the artefact has all of them."""


def print_card(console: Console, artefact: Artefact) -> None:
    """Print what the ranker was trained on, how good it is, and what it looks at."""
    card = artefact.card
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("ranker", f"{artefact.version}, trained {format_iso(card.trained_at)}")
    table.add_row("learned from", f"{card.source}{_between(card.first_time, card.last_time)}")
    table.add_row("", f"{card.lists:,} lists, {card.rows:,} candidates, {card.rewarded:,} of them rewarded")
    metrics = card.metrics
    for name in ("ndcg@10", "mrr"):
        table.add_row(name, f"{metrics[name]:.4f} (the blend: {metrics['blend_' + name]:.4f})")
    table.add_row("", f"on the last {metrics['judged_lists']:,.0f} lists, left out for it")
    leading = sorted(card.importance.items(), key=lambda each: -each[1])[:FEATURES]
    table.add_row("looks at", Text(", ".join(f"{name} {share:.1%}" for name, share in leading if share > 0)))
    table.add_row("made by", f"{card.library}, freshslate {card.program}")
    console.print(table, highlight=False)


def _between(first: int | None, last: int | None) -> str:
    if first is None or last is None:
        return ""
    return f", {format_iso(first)} to {format_iso(last)}"
