"""The k largest of n scores in a few passes, without sorting.

Radix selection from the most significant bits: non-negative floats order as their bits do, so a histogram of
the bits says in which bucket the k-th largest lies, and the next pass looks into that bucket alone. A handful
of values is sorted instead.
"""

import numpy as np

from state.kernel import kernel_part
from state.retrieval.arrays import Floats, Ints

BUCKETS = 256
FEW = 16
"""At most so many values are sorted; `BUCKETS` holds them."""


@kernel_part
def select_top(values: Floats, count: int, k: int, chosen: Ints, buckets: Ints) -> int:
    """Write the indices of the `k` largest of `values[:count]` to `chosen`, in index order.

    Among equals at the cut the first ones win. Values are at least 0. `buckets` is scratch [BUCKETS].

    Returns:
        How many were written: `min(k, count)`.
    """
    if count <= k:
        for i in range(count):
            chosen[i] = i
        return count
    if k <= 0:
        return 0
    bits = values.view(np.int32)
    low = bits[0]
    high = bits[0]
    for i in range(count):
        low = min(low, bits[i])
        high = max(high, bits[i])
    threshold, equals = _kth_largest(bits, count, k, low, high, buckets)
    n = 0
    for i in range(count):
        if bits[i] > threshold:
            chosen[n] = i
            n += 1
        elif bits[i] == threshold and equals > 0:
            chosen[n] = i
            n += 1
            equals -= 1
    return n


@kernel_part
def _kth_largest(bits: Ints, count: int, k: int, low: int, high: int, buckets: Ints) -> tuple[int, int]:
    """The k-th largest of `bits`, all in [low, high], and how many equal to it are in the top k."""
    first = np.int64(low)
    last = np.int64(high)
    wanted = k
    while True:
        shift = 0
        while (last - first) >> shift >= BUCKETS:
            shift += 1
        buckets[:] = 0
        for i in range(count):
            if first <= bits[i] <= last:
                buckets[(bits[i] - first) >> shift] += 1
        bucket = (last - first) >> shift
        while buckets[bucket] < wanted:
            wanted -= buckets[bucket]
            bucket -= 1
        is_few = buckets[bucket] <= FEW
        if shift == 0:
            return int(first + bucket), int(wanted)
        last = min(last, first + ((bucket + 1) << shift) - 1)
        first += bucket << shift
        if is_few:
            return _kth_of_few(bits, count, wanted, int(first), int(last), buckets)


@kernel_part
def _kth_of_few(bits: Ints, count: int, k: int, first: int, last: int, largest: Ints) -> tuple[int, int]:
    """`_kth_largest` of those in [first, last]; `largest` is scratch for all of them."""
    found = 0
    for i in range(count):
        if first <= bits[i] <= last:
            place = found
            while place > 0 and largest[place - 1] < bits[i]:
                largest[place] = largest[place - 1]
                place -= 1
            largest[place] = bits[i]
            found += 1
    equals = 0
    while equals < k and largest[k - 1 - equals] == largest[k - 1]:
        equals += 1
    return int(largest[k - 1]), equals
