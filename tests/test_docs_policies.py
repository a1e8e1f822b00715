"""The policy files in the documentation are good ones, and the table has every policy."""

import re
from pathlib import Path

import pytest

from state.policy.registry import POLICY_NAMES
from stream.policy_file import read_plan

DOC = Path(__file__).parents[1] / "docs" / "policies.md"


@pytest.mark.parametrize("name", ["policy", "river"])
def test_the_files_on_the_page_can_be_followed(name: str) -> None:
    found = re.search(rf"```toml {name}\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    assert read_plan(found[1].encode()).policies


def test_the_table_has_every_policy() -> None:
    named = re.findall(r"^\| `(\w+)` \|", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(POLICY_NAMES)
