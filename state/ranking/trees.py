"""Boosted regression trees as arrays, and their scores for many candidates at once.

QuickScorer: a tree is not walked. Its leaves are bits of a word, from left to right; each node whose
condition `x <= threshold` is false takes the leaves of its left subtree out, and the lowest bit that is left
is the exit leaf. No branch depends on the data, and a node is compared with all candidates of a query side
by side.

Source: Lucchese et al., QuickScorer (SIGIR 2015); the vectorised form, Lucchese et al. (SIGIR 2016).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.kernel import kernel
from state.retrieval.arrays import Doubles, Floats, Ints

MOST_LEAVES: Final = 32
"""Bits of the word."""
LANES: Final = 32
"""Candidates that are compared at once: what is left over of them is compared one by one, at ten times the
cost, since the processor guesses wrong each time. So rows of candidates have room for whole lanes."""
_DE_BRUIJN: Final = np.uint32(0x077CB531)
"""Times a power of two below 2**32, the upper five bits are different for each."""
_HASH_SHIFT: Final = np.uint32(27)
_ALL: Final = np.uint32(0xFFFFFFFF)
_ONE: Final = np.uint32(1)

Words = NDArray[np.uint32]


class Trees(NamedTuple):
    """The trees, one after the other."""

    ends: Ints
    """[trees] end of each tree's nodes."""
    feature: Ints
    """[nodes] the feature that a node looks at."""
    threshold: Floats
    """[nodes] above it, the left subtree is out."""
    mask: Words
    """[nodes] the leaves that are left then."""
    leaf: Doubles
    """[trees, MOST_LEAVES] value of the exit leaf, at the place that the word's lowest bit is hashed to."""


class UnsupportedTree(ValueError):
    """A tree that this form cannot hold; the message says why."""


def trees_of(infos: Sequence[Mapping[str, Any]]) -> Trees:
    """Trees of LightGBM, as in the `tree_info` of its `dump_model`.

    Scores are those of the library to the last bit: thresholds are rounded down to float32, which every
    float32 is on the same side of, and leaves are added in the same order.

    Raises:
        UnsupportedTree: More than `MOST_LEAVES` leaves, categories, or conditions on missing values.
    """
    ends: list[int] = []
    nodes: list[tuple[int, float, int]] = []
    leaf = np.zeros((len(infos), MOST_LEAVES))
    for number, info in enumerate(infos):
        leaves: list[float] = []
        _walk(info["tree_structure"], nodes, leaves)
        if len(leaves) > MOST_LEAVES:
            message = f"tree {number} has {len(leaves)} leaves; at most {MOST_LEAVES} are supported"
            raise UnsupportedTree(message)
        for place, value in enumerate(leaves):
            leaf[number, _hashed(1 << place)] = value
        ends.append(len(nodes))
    return Trees(
        np.array(ends, np.int32),
        np.array([feature for feature, _, _ in nodes], np.int32),
        _rounded_down(np.array([threshold for _, threshold, _ in nodes], np.float64)),
        np.array([mask & 0xFFFFFFFF for _, _, mask in nodes], np.uint32),
        leaf,
    )


def score_all(trees: Trees, values: Floats, counts: Ints) -> Doubles:
    """Scores of candidates.

    Args:
        trees: To score with.
        values: [n, features, size] as in `features.Featured`; size best a multiple of `LANES`.
        counts: [n] candidates of each row; beyond them scores are undefined.

    Returns:
        [n, size] sums of leaves.
    """
    scores = np.zeros((values.shape[0], values.shape[2]))
    _score_all(*trees, values, counts, scores)
    return scores


def _walk(node: Mapping[str, Any], nodes: list[tuple[int, float, int]], leaves: list[float]) -> None:
    """Append a subtree's nodes and, from left to right, its leaves."""
    if "split_index" not in node:
        leaves.append(float(node["leaf_value"]))
        return
    if node["decision_type"] != "<=" or node["missing_type"] != "None":
        message = (
            f"a condition {node['decision_type']!r} with missing values {node['missing_type']!r}: train with "
            "use_missing=false and without categories"
        )
        raise UnsupportedTree(message)
    first = len(leaves)
    _walk(node["left_child"], nodes, leaves)
    left = ((1 << len(leaves)) - 1) & ~((1 << first) - 1)
    nodes.append((int(node["split_feature"]), float(node["threshold"]), ~left))
    _walk(node["right_child"], nodes, leaves)


def _hashed(bit: int) -> int:
    return ((bit * int(_DE_BRUIJN)) & 0xFFFFFFFF) >> int(_HASH_SHIFT)


def _rounded_down(thresholds: Doubles) -> Floats:
    """The largest float32 that is not above each."""
    rounded = thresholds.astype(np.float32)
    above = rounded.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)


@kernel
def _score_all(
    ends: Ints,
    feature: Ints,
    threshold: Floats,
    mask: Words,
    leaf: Doubles,
    values: Floats,
    counts: Ints,
    scores: Doubles,
) -> None:
    """Add every tree's value to `scores`, query by query."""
    left = np.empty(values.shape[2], np.uint32)
    for row in range(counts.size):
        # No slice within the loops: numba counts its references, which costs more than a node.
        table, score = values[row], scores[row]
        lanes = min(left.size, -(-counts[row] // LANES) * LANES)
        node = 0
        for tree in range(ends.size):
            for i in range(lanes):
                left[i] = _ALL
            for each in range(node, ends[tree]):
                column, limit, kept = feature[each], threshold[each], mask[each]
                for i in range(lanes):
                    left[i] &= _ALL if table[column, i] <= limit else kept
            node = ends[tree]
            for i in range(counts[row]):
                lowest = np.uint32(left[i] & np.uint32(~left[i] + _ONE))
                score[i] += leaf[tree, np.uint32(lowest * _DE_BRUIJN) >> _HASH_SHIFT]
