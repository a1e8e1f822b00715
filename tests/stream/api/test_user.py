"""Whom a request is about."""

from stream.api.user import User


def test_the_key_is_that_of_state_and_slates() -> None:
    assert User("ada", "default").key == "ada"
    assert User("a|b", "default").key == "default|a|b"
    assert User("ada", "north").key == "north|ada"
