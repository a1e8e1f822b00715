"""Limits on a slate: how many items of a group, such as a category, it may hold.

A limit closes a group once the slate holds as many of it, so which candidates are eligible at a position
depends on those above it. A propensity is the probability among the eligible ones: for every policy

    P(i | above) = distribution(scores, closed(limits, row, above))[i]
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from state.kernel import kernel

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


class Limits(NamedTuple):
    """Groups of the candidates of many slates, and the most that a slate may hold of each group."""

    groups: Ints
    """[rows, most candidates] group of each candidate, -1 for none."""
    most: Ints
    """[groups] at least 1."""


def closed(limits: Limits, row: int, taken: Sequence[int]) -> list[int]:
    """The candidates of a row that cannot stand below `taken`: those themselves, and all of full groups.

    Examples:
        >>> limits = Limits(np.array([[0, 0, 1, -1]], np.int32), np.array([1, 2], np.int32))
        >>> closed(limits, 0, [1, 2])
        [0, 1, 2]
    """
    groups = limits.groups[row]
    held = np.zeros(limits.most.size, np.int32)
    for index in taken:
        if groups[index] >= 0:
            held[groups[index]] += 1
    full = held >= limits.most
    return [i for i, group in enumerate(groups.tolist()) if i in taken or (group >= 0 and full[group])]


def over(limits: Limits | None, rows: int) -> Limits:
    """The limits themselves; without any, such as have no groups, for kernels that know one form alone."""
    return Limits(np.zeros((rows, 0), np.int32), np.zeros(0, np.int32)) if limits is None else limits


@kernel
def count_in(held: Ints, most: Ints, group: int) -> bool:
    """Count an item of this group into the slate; returns whether the group is full now."""
    if group < 0:
        return False
    held[group] += 1
    return bool(held[group] >= most[group])


@kernel
def forget(held: Ints, groups: Ints, chosen: Ints) -> None:
    """Leave `held` as the next slate needs it: all 0."""
    for index in chosen:
        if groups[index] >= 0:
            held[groups[index]] = 0


@kernel
def without(left: Longs, start: int, end: int, groups: Ints, group: int) -> int:
    """Take the candidates of this group out of `left[start:end]`, the others in their order; the new end."""
    kept = start
    for i in range(start, end):
        if groups[left[i]] != group:
            left[kept] = left[i]
            kept += 1
    return kept
