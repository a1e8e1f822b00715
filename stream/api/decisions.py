"""Calls of Azure's `Rank` that await their reward: it comes with the call's own id alone."""

from collections import OrderedDict
from typing import Final

from state.fronts.azure import Decision
from stream.api.problem import problem

MOST_DECISIONS: Final = 100_000
"""Calls of Rank that may await their reward in this process; the oldest go first."""


class Decisions:
    """The latest calls of `Rank`, by tenant and event id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Decision] = OrderedDict()

    def keep(self, tenant: str, decision: Decision) -> None:
        """Remember a call until its reward comes, or too many others have come."""
        self._kept[tenant, decision.event_id] = decision
        while len(self._kept) > MOST_DECISIONS:
            self._kept.popitem(last=False)

    def find(self, tenant: str, event_id: str) -> Decision:
        """The call of this id.

        Raises:
            Problem: There is none, or it was too long ago, or another process answered it.
        """
        found = self._kept.get((tenant, event_id))
        if found is None:
            raise problem("not_found", f"no call of Rank here with the eventId {event_id!r}")
        return found
