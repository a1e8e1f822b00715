"""Whom a request is about."""

from typing import NamedTuple

from state.event import state_key


class User(NamedTuple):
    """A user of a tenant."""

    user_id: str
    tenant: str

    @property
    def key(self) -> str:
        """Of state and slates."""
        return state_key(self.tenant, self.user_id)
