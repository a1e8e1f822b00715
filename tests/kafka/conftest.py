"""The real broker of these tests: `FRESHSLATE_BROKER` if it is set, else one of our own for the session.

A missing extra or missing jars fail the tests: what they prove, nothing else proves.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker import broker_for

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The broker's address, `host:port`."""
    with broker_for(os.environ.get("FRESHSLATE_BROKER")) as address:
        yield address


@pytest.fixture
def prefix() -> str:
    """Begins the names of one test's topics and groups; no other test has it."""
    return f"t{uuid.uuid4().hex[:8]}."
