"""A slate on a screen."""

from msgspec.structs import replace
from rich.text import Text

from state.reranking.rules import FACTORS
from state.retrieval.weights import SOURCES
from state.slate import RuleFactor, SlateRules, Source
from stream.screens.figures import ASCII, UNICODE
from stream.screens.slate import (
    MEANINGS,
    TAGS,
    cut,
    item_cell,
    legend,
    letters,
    reasons,
    ruled,
    slate_table,
    step_lines,
)
from stream.view import Walk
from tests.stream.screens.made import console, event, slate, text, walk


def lines(of: Walk, width: int = 80) -> list[str]:
    return [line.plain for line in step_lines([*of.steps], UNICODE, width)]


def test_the_legend_explains_every_source_that_the_engine_has_in_one_line() -> None:
    assert set(TAGS) == set(SOURCES)
    assert all(f"{tag.letter} {tag.word}" in legend().plain for tag in TAGS.values())
    assert legend().cell_len < 80


def test_the_strongest_reason_comes_first() -> None:
    (item,) = slate("1").items
    assert reasons(item).plain == "similar sessions 0.4, popular 0.1"
    assert letters(item).plain == "sp"


def test_an_unknown_source_is_told_by_its_name() -> None:
    (item,) = slate("1", sources=[Source("oracle", 1.0)]).items
    assert reasons(item).plain == "oracle 1"
    assert letters(item).plain == "?"


def test_a_slate_is_a_table_with_scores_and_propensities() -> None:
    out = console()
    out.print(slate_table(slate("tent-12", "[lamp]", "rope-3"), limit=2))
    rows = [line.split() for line in text(out).splitlines()]
    assert rows[0] == ["place", "item", "score", "propensity", "why"]
    assert rows[1] == ["1", "tent-12", "0.500", "0.2500", "similar", "sessions", "0.4,", "popular", "0.1"]
    assert rows[2][1] == "[lamp]"
    assert len(rows) == 3


def test_a_new_item_is_marked_and_a_long_one_is_cut() -> None:
    (item,) = slate("headphones-of-the-year").items
    assert item_cell(item, UNICODE, is_new=True).plain == "+headphones-of…·sp"
    assert item_cell(item, ASCII, is_new=False).plain == " headphones-of~:sp"


def test_a_step_tells_what_was_done_how_long_it_took_and_what_changed() -> None:
    assert lines(walk()) == [
        " click tent-12      12 ms →  boots-1·sp  lamp-7·sp   rope-3·sp",
        "  cart lamp-7 at 2   8 ms → +lamp-9·sp   boots-1·sp  rope-3·sp",
    ]


def test_more_width_shows_more_items_and_none_exceeds_it() -> None:
    shopper = Walk("u")
    for _ in range(2):
        shopper.add(event("a"), slate(*(f"headphones-{n}" for n in range(8))), 123_456)
    shown = {width: lines(shopper, width) for width in (20, 60, 80, 120, 200)}
    assert all(len(line) <= width for width, found in shown.items() for line in found)
    assert [found[0].count("·") for found in shown.values()] == [0, 2, 3, 5, 5]


def test_a_step_without_an_item_or_slate_is_still_a_line() -> None:
    shopper = Walk("u")
    shopper.add(event(None, "search"), slate(), 3)
    shopper.add(event("a"), slate("b"), 3)
    assert lines(shopper) == ["search    3 ms →", " click a  3 ms → +b·sp"]
    assert step_lines([], UNICODE, 80) == []


def test_wide_characters_are_cut_by_their_columns() -> None:
    assert cut("帐篷帐篷", 8, UNICODE) == "帐篷帐篷"
    assert Text(cut("帐篷帐篷", 6, UNICODE)).cell_len <= 6


def test_every_factor_of_business_rules_has_its_words() -> None:
    assert set(MEANINGS) == set(FACTORS)


def test_what_rules_made_of_a_score_comes_after_the_sources() -> None:
    (item,) = slate("1").items
    item = replace(item, rules=(RuleFactor("boost", 1.5), RuleFactor("diversity", 0.64)))
    assert reasons(item).plain == "similar sessions 0.4, popular 0.1; boosted x1.5, more of the same x0.64"


def test_a_slate_under_rules_says_what_they_left_out() -> None:
    assert ruled(slate("1")) == ""
    under = replace(slate("1"), rules=SlateRules("12ab34cd", 3, 2))
    assert ruled(under) == "rules 12ab34cd: 3 excluded, 2 over a limit"
