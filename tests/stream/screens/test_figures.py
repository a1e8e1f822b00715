"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.evaluation.confidence import Comparison
from stream.screens import figures
from stream.screens.figures import ASCII, UNICODE, glyphs_of, lift, sentence, sparkline
from tests.stream.screens.made import BETTER, UNSURE, WORSE, ascii_console, console

VALUES = st.lists(st.none() | st.floats(0, 1e300) | st.just(math.inf) | st.just(math.nan))


def test_a_sparkline_goes_from_zero_to_the_highest() -> None:
    assert sparkline([0, 50, None, 100], UNICODE) == "▁▅ █"
    assert sparkline([0, 50, None, 100], ASCII) == "_= #"
    assert sparkline([0, 0], UNICODE) == "▁▁"
    assert sparkline([], UNICODE) == ""


def test_lines_that_share_a_scale_can_be_compared() -> None:
    assert sparkline([10], UNICODE, high=20) == "▅"
    assert sparkline([30], UNICODE, high=20) == "█"


@given(VALUES, st.none() | st.floats(0, 1e300))
def test_a_sparkline_has_a_character_for_every_value(values: list[float | None], high: float | None) -> None:
    drawn = sparkline(values, UNICODE, high=high)
    assert len(drawn) == len(values)
    assert set(drawn) <= {" ", *UNICODE.levels}


def test_one_pause_does_not_flatten_the_rest_on_a_logarithmic_line() -> None:
    assert sparkline([10, 5000], UNICODE) == "▁█"
    assert sparkline(figures.logarithmic([10, 5000, None]), UNICODE) == "▃█ "


def test_a_console_that_cannot_write_unicode_gets_none() -> None:
    assert glyphs_of(console()) is UNICODE
    assert glyphs_of(ascii_console()) is ASCII
    assert all(part.isascii() for part in ASCII)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_no_number(value: float | None) -> None:
    for told in (figures.percent, figures.milliseconds, figures.amount, figures.count):
        assert told(value, UNICODE) == UNICODE.unknown


def test_numbers_carry_their_unit() -> None:
    assert figures.percent(0.2134, UNICODE) == "21.3 %"
    assert figures.milliseconds(4321.6, UNICODE) == "4,322 ms"
    assert figures.amount(1234.567, UNICODE) == "1,234.57"
    assert figures.count(4210.4, UNICODE) == "4,210"
    assert [figures.counted(n, "kill") for n in (0, 1, 2_000)] == ["0 kills", "1 kill", "2,000 kills"]


@pytest.mark.parametrize(
    ("numbers", "told"), [((), "?"), ((3,), "3"), ((0, 1, 2, 5, 7, 8), "0-2 5 7-8"), ((1, 3), "1 3")]
)
def test_runs_of_numbers_are_drawn_together(numbers: tuple[int, ...], told: str) -> None:
    assert figures.ranges(numbers, UNICODE) == told


@pytest.mark.parametrize(
    ("compared", "told", "sentence_told", "is_apart"),
    [
        (BETTER, "+61 % (+38 to +90 %): learned is better", "Learned is better: CTR +61 %", True),
        (UNSURE, "+45 % (-12 to +130 %): not told apart yet", "Not told apart yet: CTR +45 %", False),
        (WORSE, "-50 % (-70 to -30 %): random is better", "Random is better: CTR -50 %", True),
        (Comparison(lift=0.2), "+20 %: too early to tell", "Too early to tell: CTR.", False),
        (Comparison(), "too early to tell", "Too early to tell: CTR.", False),
        (None, "too early to tell", "Too early to tell: CTR.", False),
    ],
)
def test_an_interval_is_told_in_words(
    compared: Comparison | None, told: str, sentence_told: str, is_apart: bool
) -> None:
    assert lift(compared) == told
    assert sentence("CTR", compared).startswith(sentence_told)
    assert figures.is_told_apart(compared) is is_apart


def test_a_sentence_has_the_interval() -> None:
    assert sentence("CTR", BETTER) == "Learned is better: CTR +61 % (95 %: +38 to +90 %)."
