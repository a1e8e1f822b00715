"""A slate for a user who has none: decided as a worker would for somebody new, by the same models."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from state.event import SCENARIOS, Event, Inbound, Origin
from state.profile import NEW_PROFILE
from state.slates import Asked
from state.step import Decide
from stream.api.store import SHOWN, ShownSlate
from stream.codecs import encode_slate

TOPIC: Final = "http"
"""Where the events that nobody sent would stand."""


class Popular:
    """Decides slates for new users, with exact propensities; they are on no topic.

    What is asked for in one turn of the event loop is decided together: most of what a decision costs is the
    same for one user and for many.

    Args:
        decide: What a worker decides with.
        now: epoch milliseconds.
    """

    def __init__(self, decide: Decide, now: Callable[[], int]) -> None:
        self._decide = decide
        self._now = now
        self._numbers = count()
        self._waiting: list[tuple[Asked, asyncio.Future[ShownSlate]]] = []

    async def __call__(self, user_id: str, tenant: str, scenario: str) -> ShownSlate:
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
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._decide_all)
        future: asyncio.Future[ShownSlate] = loop.create_future()
        self._waiting.append(((NEW_PROFILE, Inbound(event, origin)), future))
        return await future

    def _decide_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            wire = self._decide([asked for asked, _ in waiting]).wire
            slates = [SHOWN.decode(encode_slate(slate)) for slate in wire]
        except Exception as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), slate in zip(waiting, slates, strict=True):
            if not future.done():
                future.set_result(slate)
