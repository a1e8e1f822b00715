"""Which policy serves which user."""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from math import fsum
from typing import Final, Protocol

from state.policy.base import Policy

TOLERANCE: Final = 1e-9
"""How far the shares' sum may be from 1."""


class Assignment(Protocol):
    """Who draws whose slates: `Shares`, or a `state.policy.plan.Plan` of several."""

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All policies that serve somebody, each once."""

    def policy_of(self, key: str, scenario: str) -> Policy:
        """The policy that serves the user of this state key in this scenario."""


class Shares:
    """Gives every user one policy, for as long as shares and salt stay the same.

    A user's place in [0, 1) is a hash of salt and key: the same in every process, and unrelated to the
    user's partition and to places under another salt. The arms stand side by side in the given order, each
    as wide as its share: where only the border between two of them moves, only users at that border change.

    Args:
        arms: Policies and their shares of users, each in [0, 1], together 1. An arm of share 0 serves nobody
            and is left out.
        salt: Names the division. Another one divides the users anew.

    Raises:
        ValueError: A share is out of range, or they do not sum to 1.

    Examples:
        >>> from state.policy.softmax import Softmax
        >>> from state.policy.uniform import Uniform
        >>> shares = Shares([(Softmax(), 0.75), (Uniform(), 0.25)], "policy")
        >>> [shares.policy_of(user).name for user in ("ann", "bob", "eve", "joe")]
        ['random', 'softmax', 'softmax', 'softmax']

    References:
        Tang, Agarwal, O'Brien, Meyer (2010), Overlapping experiment infrastructure, KDD.
    """

    def __init__(self, arms: Sequence[tuple[Policy, float]], salt: str) -> None:
        shares = [share for _, share in arms]
        if not all(0.0 <= share <= 1.0 for share in shares) or abs(fsum(shares) - 1.0) > TOLERANCE:
            message = f"the shares of the policies must each be in [0, 1] and sum to 1, not {shares!r}"
            raise ValueError(message)
        serving = [(policy, share) for policy, share in arms if share > 0.0]
        self.policies: Final = tuple(policy for policy, _ in serving)
        """The policies that serve somebody, in the given order."""
        self._borders = tuple(accumulate(share for _, share in serving[:-1]))
        # Keys have no control characters, so this one ends the salt.
        self._prefix = f"{salt}\0"

    def policy_of(self, key: str, scenario: str = "") -> Policy:
        """The policy that serves the user of this state key, the same in every scenario."""
        del scenario
        if not self._borders:
            return self.policies[0]
        return self.policies[bisect_right(self._borders, self.place_of(key))]

    def place_of(self, key: str) -> float:
        """The user's place in [0, 1): 53 bits of the hash of salt and key."""
        return place_of(self._prefix + key)


def place_of(name: str) -> float:
    """The place of a name in [0, 1), the same in every process: 53 bits of its hash."""
    digest = blake2b(name.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53
