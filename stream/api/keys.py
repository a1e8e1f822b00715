"""Who may call the API: keys in a file, hashed, each with a tenant and rights.

A key is 256 random bits, so that one round of SHA-256 is a safe hash of it: there is nothing to guess, and
looking a hash up takes as long for any wrong key.
"""

import hashlib
import secrets
import tomllib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct, ValidationError, convert

from state.errors import InvalidFile
from state.event import DEFAULT_TENANT, HEARTBEAT_TENANT

EVENTS: Final = "events"
"""May write events."""
SLATES: Final = "slates"
"""May read slates."""
ADMIN: Final = "admin"
"""May do all that the tenant can do: users, their timelines, and the catalogue, which all tenants share."""
RIGHTS: Final = (EVENTS, SLATES, ADMIN)
ANY_TENANT: Final = "*"
_BEGINNING: Final = "fs_"
_HASH: Final = "sha256:"


class Access(NamedTuple):
    """What a request may do."""

    name: str
    """Of the key, for logs and metrics."""
    tenant: str
    """Whose users; `*` for those of every tenant, which the request then names."""
    rights: frozenset[str]

    @property
    def own_tenant(self) -> str:
        """The tenant of calls that name none."""
        return DEFAULT_TENANT if self.tenant == ANY_TENANT else self.tenant

    def has(self, right: str) -> bool:
        """Whether this is allowed."""
        return right in self.rights or ADMIN in self.rights


EVERYTHING: Final = Access("anybody", ANY_TENANT, frozenset(RIGHTS))
"""Of whoever reaches an API without keys."""


class _Key(Struct, forbid_unknown_fields=True):
    name: str
    hash: str
    rights: list[str]
    tenant: str = DEFAULT_TENANT


class _File(Struct, forbid_unknown_fields=True):
    key: list[_Key] = []


class Keys(NamedTuple):
    """The keys in force."""

    by_hash: dict[str, Access]
    version: str
    """8 hex digits: equal ones are equal keys."""

    def find(self, secret: str) -> Access | None:
        """Whose key it is; None: nobody's."""
        return self.by_hash.get(hash_of(secret))


class NewKey(NamedTuple):
    """A key that was just made."""

    secret: str
    """To be given to whoever calls, and kept nowhere else."""
    entry: str
    """For the file."""


def hash_of(secret: str) -> str:
    """As it stands in the file."""
    return _HASH + hashlib.sha256(secret.encode()).hexdigest()


def new_key(name: str, tenant: str, rights: Sequence[str]) -> NewKey:
    """Make a key.

    Raises:
        ValueError: A name, tenant or right that there cannot be.
    """
    key = _Key(name=name, hash="", rights=list(rights), tenant=tenant)
    if fault := _fault(key):
        raise ValueError(fault)
    secret = _BEGINNING + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{right}"' for right in rights)
    entry = (
        f'[[key]]\nname = "{name}"\nhash = "{hash_of(secret)}"\ntenant = "{tenant}"\nrights = [{listed}]\n'
    )
    return NewKey(secret, entry)


def read_keys(content: bytes | str) -> Keys:
    """Read the file's content; a text instead of bytes is why there is none.

    Raises:
        InvalidFile: It cannot be followed.
    """
    if isinstance(content, str):
        raise InvalidFile([content])
    try:
        file = convert(tomllib.loads(content.decode()), _File)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidFile([str(error)]) from None
    faults = [f"key {n}: {fault}" for n, key in enumerate(file.key, 1) if (fault := _fault(key, hashed=True))]
    hashes = [key.hash for key in file.key]
    faults += [f"key {n}: its hash is there twice" for n, h in enumerate(hashes, 1) if hashes.count(h) > 1]
    if faults or not file.key:
        raise InvalidFile(faults or ["there is no [[key]] in it; `freshslate api-key` makes one"])
    known = {key.hash: Access(key.name, key.tenant, frozenset(key.rights)) for key in file.key}
    return Keys(known, hashlib.sha256(content).hexdigest()[:8])


def _fault(key: _Key, *, hashed: bool = False) -> str:
    """What is wrong with it; empty: nothing."""
    if not key.name or not key.name.replace("-", "").replace("_", "").isalnum():
        return f"name {key.name!r} is not of letters, digits, - and _"
    if (
        key.tenant == HEARTBEAT_TENANT
        or "|" in key.tenant
        or not key.tenant.isprintable()
        or '"' in key.tenant
    ):
        return f"{key.tenant!r} cannot be a tenant"
    wrong: Any = [right for right in key.rights if right not in RIGHTS]
    if wrong or not key.rights:
        return f"rights {key.rights} are not some of {', '.join(RIGHTS)}"
    digits = key.hash.removeprefix(_HASH)
    if hashed and (digits == key.hash or len(digits) != 64 or set(digits) - set("0123456789abcdef")):
        return f"hash must be {_HASH} and 64 hex digits; `freshslate api-key` makes one"
    return ""
