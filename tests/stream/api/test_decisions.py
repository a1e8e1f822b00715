"""Calls of Rank that await their reward."""

import pytest

from state.fronts.azure import Decision
from stream.api import decisions
from stream.api.decisions import Decisions
from stream.api.problem import Problem


def test_a_call_is_found_by_its_tenant_and_id_until_too_many_came_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decisions, "MOST_DECISIONS", 2)
    kept = Decisions()
    for n in range(3):
        kept.keep("north", Decision(f"e{n}", "u", "a", None))
    assert kept.find("north", "e2").event_id == "e2"
    for tenant, event_id in (("north", "e0"), ("south", "e2")):
        with pytest.raises(Problem, match="not_found"):
            kept.find(tenant, event_id)
