"""A slate for a user who has none: decided as a worker would for somebody new, by the same models."""

from collections.abc import Callable
from itertools import count
from typing import Final

from state.event import SCENARIOS, Event, Inbound, Origin
from state.profile import NEW_PROFILE
from state.step import Decide
from stream.api.store import SHOWN, ShownSlate
from stream.codecs import encode_slate

TOPIC: Final = "http"
"""Where the events that nobody sent would stand."""


class Popular:
    """Decides slates for new users, with exact propensities; they are on no topic.

    Args:
        decide: What a worker decides with.
        now: epoch milliseconds.
    """

    def __init__(self, decide: Decide, now: Callable[[], int]) -> None:
        self._decide = decide
        self._now = now
        self._numbers = count()

    def __call__(self, user_id: str, tenant: str, scenario: str) -> ShownSlate:
        """Decide one.

        Args:
            user_id: as events name the user.
            tenant: of the user.
            scenario: one of `state.event.SCENARIOS`.
        """
        if scenario not in SCENARIOS:
            message = f"{scenario!r} is no scenario"
            raise ValueError(message)
        now = self._now()
        event = Event(event_id="", type="search", user_id=user_id, tenant=tenant, scenario=scenario, time=now)
        origin = Origin(TOPIC, 0, next(self._numbers), now)
        slates = self._decide([(NEW_PROFILE, Inbound(event, origin))])
        return SHOWN.decode(encode_slate(slates.wire[0]))
