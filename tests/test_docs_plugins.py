"""What docs/plugins.md and docs/rules.md show works: it is installed, tested, and asked for slates."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from state.reranking.rules import Rules, parse_rules
from tests.stream.distributions import install

ROOT = Path(__file__).parents[1]
PLUGINS = (ROOT / "docs" / "plugins.md").read_text()
RULES = (ROOT / "docs" / "rules.md").read_text()
FILES = dict(re.findall(r"```(?:toml|python) ([\w.]+)\n(.*?)```", PLUGINS, re.S))

SLATES = """
import json
from stream.config import load_settings
from stream.metrics import Metrics
from stream.worker_metrics import WorkerMetrics
from stream.plugins import plugged_sources
from tests.flow.walk import Walk
settings = load_settings(slate_size=5, candidates=20)
walk = Walk(settings, plugged=plugged_sources(settings.sources, WorkerMetrics()))
walk.catalogue("i1", "i2", "i3", "tinsel")
walk.cycle(30)
for each in walk.plugged:
    each.source.learn(walk.deltas)
    for item in walk.models.catalogue.values():
        each.source.upsert_item(item)
walk.cycle(30)
print(json.dumps([
    sorted({slate.policy for slate in walk.slates}),
    sorted({s.name for slate in walk.slates for item in slate.items for s in item.sources}),
]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the distribution of the page, as pip would install it."""
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    modules = {name: text for name, text in FILES.items() if name.endswith(".py")}
    return install(tmp_path_factory.mktemp("site"), project["name"], modules, project["entry-points"])


def python(folder, *arguments, **environment):
    """Run Python with the distribution installed, and return what it prints."""
    found = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=250,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"} | environment,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_page_has_a_whole_distribution():
    assert set(FILES) == {"pyproject.toml", "acme_slates.py", "test_acme_slates.py"}


def test_its_tests_pass(folder):
    told = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme_slates.py")
    assert re.search(r"\d\d+ passed", told)
    assert "failed" not in told
    assert "skipped" not in told


def test_the_settings_list_what_it_brings(folder):
    told = python(folder, "-m", "agents.commands", "settings", FRESHSLATE_SOURCES="season=0.2")
    assert "# source season: acme_slates:Season, of acme-slates 1.0" in told
    assert "# policy by_rank: acme_slates:ByRank, of acme-slates 1.0" in told
    assert "FRESHSLATE_SOURCES=season=0.2 " in told


def test_slates_are_of_its_policy_and_say_its_source(folder):
    environment = {"FRESHSLATE_SOURCES": "season=0.2", "FRESHSLATE_POLICY": "by_rank"}
    policies, sources = json.loads(python(folder, "-c", SLATES, **environment))
    assert policies == ["by_rank"]
    assert {"season", "popularity"} <= set(sources)


def test_the_example_of_rules_is_right_and_has_every_rule():
    (text,) = re.findall(r"```toml rules\n(.*?)```", RULES, re.S)
    fields = tomllib.loads(text)
    assert set(fields) == set(Rules.__struct_fields__)
    assert parse_rules(fields).is_limiting
    assert all(f"`{name}`" in RULES for name in Rules.__struct_fields__)
