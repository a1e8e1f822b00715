"""The comparison on a screen."""

import io

import pytest
from msgspec import structs
from rich.console import Console

from state.evaluation.confidence import Comparison
from state.evaluation.experiment import ExperimentResult
from stream.screens.experiment import meaning, notes, print_comparison, shown

BETTER = Comparison(
    learned=0.0531,
    random=0.0425,
    lift=0.249,
    lift_ci95=(0.121, 0.392),
    learned_ci95=(0.0501, 0.0561),
    random_ci95=(0.038, 0.047),
    learned_users=9_500,
    random_users=500,
)
OPEN = structs.replace(BETTER, lift=0.02, lift_ci95=(-0.05, 0.09))
WORSE = structs.replace(BETTER, lift=-0.2, lift_ci95=(-0.31, -0.08))
NOTHING = Comparison()
RESULT = ExperimentResult(
    ctr=BETTER,
    conversion=OPEN,
    revenue_per_session=structs.replace(WORSE, learned=1234.5, learned_ci95=(1200.0, 1269.0)),
    learned_users=9_500,
    random_users=500,
    mixed_users=0,
    unassigned_users=0,
    ctr_per="impressions",
    unnamed_clicks=0,
    currencies=("EUR",),
    since=1_763_831_000_000,
    until=None,
)


def printed(result: ExperimentResult, width: int = 120) -> str:
    out = Console(file=io.StringIO(), width=width, color_system=None)
    print_comparison(out, result)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_each_metric_has_both_groups_the_lift_and_its_interval() -> None:
    lines = printed(RESULT).splitlines()
    assert lines[0] == ("9,500 users of learned slates, 500 of random slates; from 2025-11-22 17:03:20 UTC")
    rows = [" ".join(line.split()) for line in lines]
    assert "CTR 5.31 ±0.30 % 4.25 ±0.45 % +24.9% +12.1% to +39.2%" in rows
    assert "revenue per session 1,234.50 ±34.50 EUR 0.04 ±0.00 EUR -20.0% -31.0% to -8.0%" in rows


def test_each_interval_is_said_in_words() -> None:
    text = printed(RESULT)
    assert "CTR: learned slates do better than random ones, by 12.1% to 39.2%." in text
    assert "conversion: no difference is shown: the interval, -5.0% to +9.0%, contains 0" in text
    assert "revenue per session: learned slates do worse than random ones, by 8.0% to 31.0%." in text


def test_what_cannot_be_told_is_a_dash_and_says_what_it_takes() -> None:
    text = printed(structs.replace(RESULT, ctr=NOTHING))
    assert "CTR - - - -" in " ".join(text.split())
    assert meaning(NOTHING) == "too little to tell; each group needs 30 users, and 10 with a success"


def test_a_value_without_an_interval_is_shown_alone() -> None:
    assert shown(0.5, None, "%") == "50.00 %"
    assert shown(2.5, None, "") == "2.50"
    assert shown(None, None, "%") == "-"


def test_a_sound_comparison_has_no_notes() -> None:
    assert list(notes(RESULT)) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"random_users": 0},
            "there is no control group: nobody here was given random slates. Set FRESHSLATE_",
        ),
        ({"learned_users": 0}, "nobody here was given learned slates: is FRESHSLATE_RANDOM_SHARE 1?"),
        ({"learned_users": 0, "random_users": 0}, "no user of this window has a slate: does a worker run?"),
        ({"mixed_users": 1_200}, "1,200 users had slates of both kinds and are left out"),
        ({"ctr_per": "slates"}, "CTR is per published slate, also of those that nobody saw"),
        ({"unnamed_clicks": 7}, "7 clicks name no slate (slate_id) and are no part of the CTR"),
        ({"currencies": ("EUR", "SEK")}, "adds up several currencies (EUR, SEK) as if they were one"),
        ({"unassigned_users": 3}, "3 users had no slate yet and are in neither group"),
    ],
)
def test_what_limits_the_comparison_is_noted(fields: dict[str, object], told: str) -> None:
    result = structs.replace(RESULT, **fields)
    (note,) = notes(result)
    assert told in note
    assert told in " ".join(printed(result, width=300).split())


def test_money_of_several_currencies_has_no_unit() -> None:
    assert "1,234.50 ±34.50 " in printed(structs.replace(RESULT, currencies=("EUR", "SEK")))
    assert "EUR" not in printed(structs.replace(RESULT, currencies=()))


def test_without_a_window_none_is_told() -> None:
    lines = printed(structs.replace(RESULT, since=None)).splitlines()
    assert lines[0] == "9,500 users of learned slates, 500 of random slates"
    assert "until 2025" in printed(structs.replace(RESULT, until=1_763_831_000_000))
