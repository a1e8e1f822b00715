from state.policy.registry import POLICY_NAMES
from state.policy.river_model import RiverModel
from state.policy.uniform import Uniform
from stream.entry_points import OWN_POLICIES, PluginRow, installed, policy_names, source_names
from tests.stream.distributions import install

BROKEN = {"broken.py": "raise RuntimeError('imported')\n"}


def test_all_policies_but_the_control_groups_can_be_chosen():
    """And but river's, which needs a model from the policy file."""
    assert set(OWN_POLICIES) | {Uniform.name, RiverModel.name} == set(POLICY_NAMES)
    assert policy_names()[: len(OWN_POLICIES)] == OWN_POLICIES


def test_what_is_installed_is_listed_without_importing_it(tmp_path, monkeypatch):
    before = installed()
    groups = {
        "freshslate.sources": {"season": "broken:Season", "anger": "broken:Anger"},
        "freshslate.policies": {"by_rank": "broken:ByRank"},
        "something.else": {"season": "broken:Other"},
    }
    monkeypatch.syspath_prepend(install(tmp_path, "acme-slates", BROKEN, groups))
    assert [row for row in installed() if row not in before] == [
        PluginRow("source", "anger", "broken:Anger", "acme-slates 1.0"),
        PluginRow("source", "season", "broken:Season", "acme-slates 1.0"),
        PluginRow("policy", "by_rank", "broken:ByRank", "acme-slates 1.0"),
    ]
    assert {"anger", "season"} <= set(source_names())
    assert policy_names()[-1] == "by_rank"
