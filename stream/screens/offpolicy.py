"""Another policy beside the logged ones: tables, and what they mean in words."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from state.evaluation.decisions import LEFT_OUT
from state.evaluation.offpolicy import MAIN, Estimate, Judgement
from stream.offpolicy import Result, Window
from stream.screens.replay import moment

NOTHING: Final = "-"
ELSEWHERE: Final = {
    "unknown_slate": "answer slates outside the window",
    "left_out_slate": "answer slates that are left out",
    "late": "came after the horizon of their slate (--mature)",
    "wrong_position": "name a position that their slate does not have",
    "repeated": "came twice; the first counts",
}
"""Why rewards count for no slate."""


def print_result(console: Console, result: Result, policy: str, window: Window) -> None:
    """Print what is known of the policy, and what limits it."""
    evidence = result.evidence
    whole = result.whole
    weights = "the logged policies' mixture" if evidence.balanced else "the logged propensities"
    console.print(
        f"[bold]{policy}[/] judged on {whole.logged.slates:,} slates of {whole.logged.users:,} users,"
        f" {moment(window.since)} until {moment(window.until)} UTC;"
        f" {evidence.decisions.rewards.shape[1]} positions; weights from {weights}\n",
        highlight=False,
    )
    console.print(_arms(whole), highlight=False)
    console.print()
    console.print(_estimates(whole), highlight=False)
    for division, parts in result.by.items():
        console.print()
        console.print(_divided(division, parts), highlight=False)
    console.print()
    console.print(Text(meaning(whole)))
    for note in notes(result):
        console.print(Text(f"note: {note}", "yellow"))


def meaning(judgement: Judgement) -> str:
    """What the main estimate says, in words."""
    main = judgement.estimates[MAIN]
    if main.value is None:
        return f"The log cannot judge this policy: {main.refused}."
    if main.difference_ci95 is None:
        return "Too few users for an interval; 30 are needed."
    low, high = main.difference_ci95
    if low <= 0 <= high:
        said = f"No difference to the logged policies is shown: {low:+.4f} to {high:+.4f} contains 0."
    else:
        better = "more" if low > 0 else "less"
        said = (
            f"It would earn {better} than the logged policies did, by {min(abs(low), abs(high)):.4f} to"
            f" {max(abs(low), abs(high)):.4f} per slate."
        )
    if main.users_to_confirm is None:
        return said
    return (
        f"{said} An A/B test shows a difference of {main.difference:+.4f} with {main.users_to_confirm:,}"
        " users in each group (two-sided 5 %, power 80 %: n = 2 V (1.96 + 0.84)^2 / difference^2)."
    )


def notes(result: Result) -> Iterator[str]:
    """What limits the answer, a line each."""
    for reason, count in sorted(result.read.left_out.items()):
        yield f"{count:,} slates are left out: {LEFT_OUT[reason]}"
    for reason, count in sorted(result.read.rewards_elsewhere.items()):
        yield f"{count:,} rewards {ELSEWHERE[reason]}"
    evidence, believed = result.evidence, result.believed
    if believed is not None:
        yield (
            f"policies that learn are judged as they would have begun: by what {believed.exposures:,.0f}"
            " matured exposures before --from had taught; what they would have learned since is not seen"
            if believed.exposures
            else "nothing had been learned before --from: policies that learn are judged by the scores alone,"
            " as on their first day; a later --from gives them a past"
        )
    if evidence.deterministic:
        yield f"slates of {', '.join(evidence.deterministic)} judge nobody: they left nothing to chance"
    if evidence.disagreeing:
        yield (
            f"{evidence.disagreeing:,} slates have other propensities than their policy gives their"
            " candidates: something else decides too, such as a category's limit, and weights are wrong"
            " by as much"
        )
    whole, positions = result.whole, evidence.decisions.rewards.shape[1]
    if whole.estimates[MAIN].value is not None:
        return
    if supported := whole.supported_positions:
        yield f"the first {supported} positions can be judged: --positions {supported}"
    elif positions > 1:
        yield "not even the first position can be judged: more slates, or logged policies that explore more"


def _arms(judgement: Judgement) -> Table:
    table = _table("logged policy", "reward per slate", "95 % interval", "slates", "users")
    rows = {**judgement.arms, "all that can judge": judgement.logged}
    for name, arm in rows.items():
        table.add_row(name, f"{arm.value:.4f}", _interval(arm.ci95), f"{arm.slates:,}", f"{arm.users:,}")
    return table


def _estimates(judgement: Judgement) -> Table:
    table = _table(
        "estimator", "estimate", "95 % interval", "less the logged", "ESS", "largest weight", "top 1 %"
    )
    for name, its in judgement.estimates.items():
        support = its.support
        tail = f"{support.ess:,.0f}", f"{support.largest:,.1f}", f"{support.top_share:.1%}"
        if its.value is None:
            table.add_row(name, Text("refused", "red"), NOTHING, NOTHING, *tail)
        else:
            table.add_row(name, f"{its.value:.4f}", _interval(its.ci95), _difference(its), *tail)
    lean = "dr_os, switch_dr and dm lean on a reward model; their intervals do not know its error"
    table.caption = _reasons(judgement.estimates.values()) or lean
    return table


def _reasons(estimates: Iterable[Estimate]) -> str | None:
    reasons = {its.refused for its in estimates if its.refused}
    return "\n".join(f"refused: {reason}" for reason in sorted(reasons)) or None


def _divided(division: str, parts: dict[str, Judgement]) -> Table:
    table = _table(
        division, "logged", f"estimate ({MAIN})", "95 % interval", "less the logged", "ESS", "slates"
    )
    for name, its in parts.items():
        main, slates = its.estimates[MAIN], f"{its.logged.slates:,}"
        value = Text("refused", "red") if main.value is None else f"{main.value:.4f}"
        table.add_row(
            name,
            f"{its.logged.value:.4f}",
            value,
            _interval(main.ci95),
            _difference(main),
            f"{main.support.ess:,.0f}",
            slates,
        )
    table.caption = _reasons(its.estimates[MAIN] for its in parts.values())
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(first, *others, box=None, header_style="bold", caption_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _interval(ci95: tuple[float, float] | None) -> str:
    return NOTHING if ci95 is None else f"{ci95[0]:.4f} to {ci95[1]:.4f}"


def _difference(estimate: Estimate) -> Text:
    if estimate.difference is None or estimate.difference_ci95 is None:
        return Text(NOTHING)
    low, high = estimate.difference_ci95
    style = "green" if low > 0 else "red" if high < 0 else "yellow"
    return Text(f"{estimate.difference:+.4f} ({low:+.4f} to {high:+.4f})", style)
