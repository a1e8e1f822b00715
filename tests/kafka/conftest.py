"""The real broker of these tests: `FRESHSLATE_BROKER` if it is set, else one of each test process's own.

A missing extra or missing jars fail the tests: what they prove, nothing else proves.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker import broker_for

HERE = Path(__file__).parent
LONGEST = (
    "test_drill",
    "test_metrics",
    "test_evaluation",
    "test_exactly_once",
    "test_audit",
    "test_connection",
    "test_api_faults",
    "test_demo",
    "test_monitor",
    "test_offpolicy",
    "test_replay_state",
    "test_health",
    "test_upgrade",
    "test_redrive",
    "test_experiment",
    "test_store",
)
"""Files that take longest. They come first, so that two processes side by side end at the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kafka)
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)) if HERE in item.path.parents else -1)


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The broker's address, `host:port`."""
    with broker_for(os.environ.get("FRESHSLATE_BROKER")) as address:
        yield address


@pytest.fixture
def prefix() -> str:
    """Begins the names of one test's topics and groups; no other test has it."""
    return f"t{uuid.uuid4().hex[:8]}."
