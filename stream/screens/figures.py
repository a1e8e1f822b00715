"""Numbers as people read them: shares, milliseconds, intervals in words, sparklines."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeGuard

from rich.console import Console

from state.evaluation.confidence import Comparison


class Glyphs(NamedTuple):
    """The characters beyond letters and digits that a screen draws with."""

    levels: str
    """Of a sparkline, lowest first."""
    arrow: str
    tick: str
    dot: str
    rule: str
    cut: str
    """Stands for the rest of a name."""
    unknown: str
    spinner: str
    """Its name in rich."""


UNICODE: Final = Glyphs("▁▂▃▄▅▆▇█", "→", "✓", "·", "─", "…", "?", "dots")
ASCII: Final = Glyphs("_.:-=+*#", "->", "*", ":", "-", "~", "?", "line")


def glyphs_of(console: Console) -> Glyphs:
    """What this console's encoding can write."""
    return ASCII if console.options.ascii_only else UNICODE


def sparkline(values: Sequence[float | None], glyphs: Glyphs, *, high: float | None = None) -> str:
    """One character a value, from 0 to the highest.

    Args:
        values: at least 0; None leaves a gap.
        glyphs: to draw with.
        high: value of the highest level, where lines share a scale; without it the highest of `values`.
    """
    top = high if high is not None else highest(values)
    steps = len(glyphs.levels) - 1

    def level(value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return " "
        share = min(1.0, max(0.0, value / top)) if top else 0.0
        return glyphs.levels[round(steps * share)]

    return "".join(map(level, values))


def logarithmic(values: Sequence[float | None]) -> list[float | None]:
    """`log(1 + value)`: for a sparkline in which one pause does not flatten all the rest."""
    return [None if value is None else math.log1p(max(0.0, value)) for value in values]


def highest(*rows: Sequence[float | None]) -> float:
    """The highest finite value of all rows; 0 without one."""
    found = (value for row in rows for value in row if value is not None and math.isfinite(value))
    return max(found, default=0.0)


def percent(value: float | None, glyphs: Glyphs, digits: int = 1) -> str:
    """A share as `21.3 %`."""
    return f"{100 * value:.{digits}f} %" if _is_known(value) else glyphs.unknown


def milliseconds(value: float | None, glyphs: Glyphs) -> str:
    """`12 ms`."""
    return f"{value:,.0f} ms" if _is_known(value) else glyphs.unknown


def amount(value: float | None, glyphs: Glyphs) -> str:
    """Money or a mean, `4.21`."""
    return f"{value:,.2f}" if _is_known(value) else glyphs.unknown


def count(value: float | None, glyphs: Glyphs) -> str:
    """`4,210`."""
    return f"{value:,.0f}" if _is_known(value) else glyphs.unknown


def ranges(numbers: Sequence[int], glyphs: Glyphs) -> str:
    """Ascending numbers with runs drawn together, `0-3 6`."""
    if not numbers:
        return glyphs.unknown
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def is_told_apart(compared: Comparison | None) -> bool:
    """Whether the lift's 95 % interval excludes zero."""
    if compared is None or compared.lift_ci95 is None:
        return False
    low, high = compared.lift_ci95
    return low > 0 or high < 0


def verdict(compared: Comparison | None) -> str:
    """What the interval of a lift says, in three words or four."""
    if compared is None or compared.lift is None or compared.lift_ci95 is None:
        return "too early to tell"
    low, high = compared.lift_ci95
    if low > 0:
        return "learned is better"
    return "random is better" if high < 0 else "not told apart yet"


def lift(compared: Comparison | None) -> str:
    """A lift with its 95 % interval and what that says, `+61 % (+38 to +90 %): learned is better`."""
    if compared is None or not _is_known(compared.lift):
        return verdict(None)
    if compared.lift_ci95 is None:
        return f"{_signed(compared.lift)} %: {verdict(None)}"
    return f"{_signed(compared.lift)} % ({_interval(compared.lift_ci95)}): {verdict(compared)}"


def sentence(name: str, compared: Comparison | None) -> str:
    """The same as a sentence, `Learned is better: CTR +61 % (95 %: +38 to +90 %).`."""
    told = verdict(compared).capitalize()
    if compared is None or not _is_known(compared.lift) or compared.lift_ci95 is None:
        return f"{told}: {name}."
    return f"{told}: {name} {_signed(compared.lift)} % (95 %: {_interval(compared.lift_ci95)})."


def counted(number: int, noun: str) -> str:
    """`1 kill`, `2 kills`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _interval(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{_signed(low)} to {_signed(high)} %"


def _signed(share: float) -> str:
    return f"{100 * share:+,.0f}"


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
