"""The context's layout."""

from state.policy.context import CONTEXT, CONTEXT_SIZE
from state.retrieval.weights import SOURCES


def test_every_source_has_its_number() -> None:
    assert CONTEXT[:3] == ("bias", "blend", "rank")
    assert CONTEXT[3:] == tuple(f"source_{name}" for name in SOURCES)
    assert len(CONTEXT) == CONTEXT_SIZE
