"""The file of keys."""

import pytest

from state.errors import InvalidFile
from stream.api.keys import EVENTS, RIGHTS, SLATES, Access, hash_of, new_key, read_keys


def test_a_new_key_is_found_by_its_secret_and_stands_nowhere_in_the_file() -> None:
    made = new_key("shop-frontend", "north", ["events", "slates"])
    keys = read_keys(made.entry.encode())
    assert keys.find(made.secret) == Access("shop-frontend", "north", frozenset({EVENTS, SLATES}))
    assert made.secret not in made.entry
    assert len(made.secret) > 40
    assert keys.find(made.secret + "x") is None
    assert new_key("shop-frontend", "north", ["events"]).secret != made.secret


def test_keys_that_are_the_same_have_the_same_version() -> None:
    one, other = (new_key(name, "north", ["events"]).entry.encode() for name in "ab")
    assert read_keys(one).version == read_keys(one).version != read_keys(other).version


def test_an_admin_has_every_right_and_another_only_its_own() -> None:
    admin, shop = (Access("a", "t", frozenset({right})) for right in ("admin", "events"))
    assert [admin.has(right) for right in RIGHTS] == [True, True, True]
    assert [shop.has(right) for right in RIGHTS] == [True, False, False]


HASH = hash_of("secret")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "freshslate api-key"),
        ("[[key]", "line 1"),
        (f"[[key]]\nname='a'\nhash='{HASH}'\nrights=['event']", "are not some of events, slates, admin"),
        (f"[[key]]\nname='a'\nhash='{HASH}'\nrights=[]", "are not some of"),
        ("[[key]]\nname='a'\nhash='secret'\nrights=['events']", "64 hex digits"),
        (f"[[key]]\nname='a\"b'\nhash='{HASH}'\nrights=['events']", "letters, digits"),
        (f"[[key]]\nname='a'\ntenant='a|b'\nhash='{HASH}'\nrights=['events']", "cannot be a tenant"),
        (f"[[key]]\nname='a'\nhash='{HASH}'\nrights=['events']\nright='admin'", "unknown field"),
        (f"[[key]]\nname='a'\nhash='{HASH}'\nrights=['events']\n" * 2, "there twice"),
    ],
)
def test_a_file_that_cannot_be_followed_says_why(content: str, told: str) -> None:
    with pytest.raises(InvalidFile, match=told):
        read_keys(content.encode())


def test_a_file_that_is_not_there_says_so() -> None:
    with pytest.raises(InvalidFile, match="no such file"):
        read_keys("no such file")


@pytest.mark.parametrize(
    ("name", "tenant", "rights"),
    [
        ("", "t", ["events"]),
        ("a b", "t", ["events"]),
        ("a", "freshslate-heartbeat", ["events"]),
        ("a", "t", ["x"]),
    ],
)
def test_a_key_that_there_cannot_be_is_not_made(name: str, tenant: str, rights: list[str]) -> None:
    with pytest.raises(ValueError, match=r"name|tenant|rights"):
        new_key(name, tenant, rights)
