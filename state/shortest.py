"""A float32 as the shortest decimal that reads back to the same float32.

A reader of JSON takes a number for a double, and a float32 written with a double's 17 digits says no more
than 9 digits do. Here `digits / 10**scale` is tried with 6, 7 and 8 digits: both are exact doubles, so the
quotient is the very double that a reader gets, and will do if it rounds to the same float32. Nine digits
always do.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel_part

Buffer: TypeAlias = NDArray[np.uint8]

LONGEST: Final = 24
"""Bytes that a number takes at most."""
EXACT_SCALE: Final = 22
"""10**22 is the largest power of ten that a double holds exactly."""
LEAST_FIXED: Final = -5
MOST_FIXED: Final = 15
"""Powers of ten of the first digit between which a number is written without an exponent, as msgspec does."""

_MOST_POWER: Final = 64
_POWERS: Final = np.array([float(f"1e{power}") for power in range(-_MOST_POWER, _MOST_POWER)])
_EXACT: Final = tuple(float(10**power) for power in range(EXACT_SCALE + 1))
_LEAST_FIRST: Final = -46
"""Below the power of ten of the smallest float32."""
_TEN: Final = np.uint64(10)
_ZERO, _DOT, _E, _MINUS = (np.uint8(ord(sign)) for sign in "0.e-")


@kernel_part
def shortest(value: np.float32) -> tuple[int, int]:
    """Digits without a zero at their end, and scale, of a finite number that is not negative."""
    if value == np.float32(0.0):
        return 0, 0
    number = np.float64(value)
    first = _first_digit(number)
    for places in range(6, 9):
        scale = places - 1 - first
        if 0 <= scale <= EXACT_SCALE:
            digits = np.rint(number * power_of_ten(scale))
            if np.float32(digits / power_of_ten(scale)) == value:
                return _stripped(int(digits), scale)
    scale = 8 - first
    return _stripped(int(np.rint(number * power_of_ten(scale))), scale)


@kernel_part
def write_number(buffer: Buffer, at: int, value: np.float32) -> int:
    """Write a finite number that is not negative to `buffer` from `at` on; returns where it ends."""
    digits, scale = shortest(value)
    return write_decimal(buffer, at, digits, scale)


@kernel_part
def write_decimal(buffer: Buffer, at: int, digits: int, scale: int) -> int:
    """Write `digits / 10**scale`, as `shortest` gives them; returns where it ends."""
    count = _count(digits)
    first = count - 1 - scale
    if first < LEAST_FIXED or first > MOST_FIXED:
        at = _write_digits(buffer, at, digits, count, 1)
        buffer[at] = _E
        at += 1
        if first < 0:
            buffer[at] = _MINUS
            at += 1
        return _write_digits(buffer, at, abs(first), _count(abs(first)), 2)
    if first >= 0:
        at = _write_digits(buffer, at, digits, count, first + 1)
        if scale <= 0:
            for _ in range(-scale):
                buffer[at] = _ZERO
                at += 1
            buffer[at] = _DOT
            buffer[at + 1] = _ZERO
            at += 2
        return at
    buffer[at] = _ZERO
    buffer[at + 1] = _DOT
    at += 2
    for _ in range(-1 - first):
        buffer[at] = _ZERO
        at += 1
    return _write_digits(buffer, at, digits, count, count)


@kernel_part
def write_whole(buffer: Buffer, at: int, number: int) -> int:
    """Write a whole number that is not negative; returns where it ends."""
    count = _count(number)
    return _write_digits(buffer, at, number, count, count)


def as_double(value: float) -> float:
    """The double that a reader gets for this float32.

    Examples:
        >>> import numpy as np
        >>> float(np.float32(0.1)), as_double(np.float32(0.1))
        (0.10000000149011612, 0.1)
    """
    digits, scale = shortest(np.float32(value))
    if 0 <= scale <= EXACT_SCALE:
        return digits / _EXACT[scale]
    return float(f"{digits}e{-scale}")


@kernel_part
def power_of_ten(power: int) -> float:
    """10**power as a double, for a power in [-64, 63]."""
    return float(_POWERS[_MOST_POWER + power])


@kernel_part
def _first_digit(number: float) -> int:
    """Power of ten of the first digit."""
    first = 0 if number >= 1.0 else -4 if number >= 1e-4 else -12 if number >= 1e-12 else _LEAST_FIRST
    while number >= power_of_ten(first + 1):
        first += 1
    return first


@kernel_part
def _stripped(digits: int, scale: int) -> tuple[int, int]:
    while digits % 10 == 0:
        digits //= 10
        scale -= 1
    return digits, scale


@kernel_part
def _count(digits: int) -> int:
    """How many digits a number has."""
    count, least = 1, 10
    while digits >= least:
        least *= 10
        count += 1
    return count


@kernel_part
def _write_digits(buffer: Buffer, at: int, digits: int, count: int, before: int) -> int:
    """Write `count` digits with a point after `before` of them, if any follow; returns the end."""
    end = at + count + (1 if before < count else 0)
    rest = np.uint64(digits)
    for place in range(end - 1, at - 1, -1):
        if place == at + before:
            buffer[place] = _DOT
            continue
        left = rest // _TEN
        buffer[place] = _ZERO + np.uint8(rest - left * _TEN)
        rest = left
    return end
