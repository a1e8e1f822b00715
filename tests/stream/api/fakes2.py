"""Keys, and a log of one user that answers what it is told to."""

import asyncio
from typing import Any

import msgspec

from state.event import DEFAULT_TENANT
from state.models import Models
from stream.api.application import application
from stream.api.keys import Access, Keys, hash_of
from stream.api.limiter import Limiter
from stream.api.past import Forgotten, Past, Remains, SlateWhy, UserTimeline
from tests.stream.api.fakes import Api

ADMIN = {"Authorization": "Bearer admin"}
SHOP = {"Authorization": "Bearer shop"}
SLATE = b'{"slate_id":"events-0-1","items":[]}'


def keys(tenant: str = DEFAULT_TENANT) -> Keys:
    """A key `admin` with all rights, and `shop` with the two others."""
    rights = {"admin": {"admin"}, "shop": {"events", "slates"}}
    return Keys({hash_of(name): Access(name, tenant, frozenset(each)) for name, each in rights.items()}, "1")


class FakePast(Past):
    """Remembers what it is asked; fails, or waits, where it is told to."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings, Models())
        self.asked: list[tuple[Any, ...]] = []
        self.fails: Exception | None = None
        self.holds: asyncio.Event | None = None
        self.forgotten = True

    async def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self.holds is not None:
            await self.holds.wait()
        if self.fails is not None:
            raise self.fails

    async def timeline(self, user, limit, since):
        await self._ask("timeline", *user, limit, since)
        return UserTimeline(
            user_id=user.user_id,
            tenant=user.tenant,
            partition=0,
            read_from=1,
            is_complete=True,
            forgotten_at=None,
            total=0,
            waiting=0,
            profile={},
            steps=[],
        )

    async def why(self, slate_id, tenant, *, then, since):
        await self._ask("why", slate_id, tenant, then, since)
        return SlateWhy(slate=msgspec.Raw(SLATE), profile="then", models="now", why=[])

    async def forget(self, user, wait_seconds):
        await self._ask("forget", *user, wait_seconds)
        return Forgotten(
            user_id=user.user_id,
            tenant=user.tenant,
            partition=0,
            profile_bytes=9,
            slates=1,
            forgotten=self.forgotten,
            took_seconds=0.5 if self.forgotten else None,
            remains=[Remains("events", "the events", None, "nothing")],
        )


class PastApi(Api):
    """An API whose log is `past`."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.past = FakePast(self.settings)
        self.context = self.context._replace(past=self.past)
        self.app = application(self.context, self.ring, Limiter(self.settings.api_rate, lambda: 0.0))
