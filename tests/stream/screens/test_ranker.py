import io

from rich.console import Console

from stream.ranker import decode_ranker
from stream.screens.ranker import print_card
from tests.stream.made_ranker import made_artefact


def printed(**changes):
    console = Console(file=io.StringIO(), width=100, color_system=None)
    print_card(console, decode_ranker(made_artefact(**changes)))
    return console.file.getvalue()


def test_the_card_says_what_was_learned_from_how_good_it_is_and_what_it_looks_at():
    text = printed()
    assert decode_ranker(made_artefact()).version in text
    assert "decision log, 2025-11-21T17:03:20.000Z to 2025-11-22T17:03:20.000Z" in text
    assert "1,000 lists, 10,000 candidates, 1,100 of them rewarded" in text
    assert "0.4000 (the blend: 0.3500)" in text
    assert "on the last 200 lists" in text
    assert "blend 75.0%, seen 25.0%" in text


def test_where_the_data_has_no_times_none_are_shown():
    assert "2025-11-21" not in printed(first_time=None, last_time=None, source="week.txt")
