"""What a worker compiles before it joins the group is all that it will ever need."""

import subprocess
import sys
from pathlib import Path

import pytest

EVERY_POLICY = "".join(
    f'[[arm]]\npolicy = "{name}"\nshare = 0.125\n{more}\n'
    for name, more in [
        ("linear_ts", ""),
        ("source_mix", ""),
        ("squarecb", ""),
        ("squarecb", "learned = true"),
        ("softmax", "learned = true"),
        ("epsilon_greedy", "learned = true"),
        ("greedy", ""),
        ("river_model", 'model = "linear_model.LinearRegression"'),
    ]
)

COMPILED = """
import gc, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from stream.config import Settings
from stream.metrics import Metrics
from stream.worker_metrics import WorkerMetrics
from stream.rules_file import RulesFile
from stream.worker import warm, policy
def signatures():
    found = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    kernels = [each for each in found if each.__module__.startswith("state.")]
    return {f"{kernel.__module__}.{kernel.__name__}": len(kernel.signatures) for kernel in kernels}
rules_file = Path(sys.argv[3]) if sys.argv[3] else None
served = {"policy": sys.argv[1], "random_share": float(sys.argv[2])}
if sys.argv[1].endswith(".toml"):
    served = {"policy_file": Path(sys.argv[1])}
settings = Settings(max_sessions=64, rules_file=rules_file, log_candidates=0.5, **served)
warm(settings)
before = signatures()
assert sum(before.values()) >= 4, before
from tests.flow.walk import Walk
walk = Walk(settings)
for cycle in range(12):
    walk.cycle(30)
assert walk.slates and any(slate.items for slate in walk.slates)
walk.catalogue("i1", "i2", "new")
walk.models.withdraw_item("i2")
walk.cycle(30)
from tests.state.ranking.made import made_ranker
walk.engine.decide.ranker = made_ranker()
walk.cycle(30)
assert walk.slates[-1].ranker
if rules_file:
    RulesFile(rules_file, walk.engine.decide.follow, WorkerMetrics())
    walk.cycle(30)
    assert walk.slates[-1].rules
after = signatures()
assert after == before, {k: (before.get(k), v) for k, v in after.items() if before.get(k) != v}
"""


@pytest.mark.parametrize(
    ("name", "random_share", "rules"),
    [
        ("softmax", "0.5", ""),
        ("epsilon_greedy", "0", ""),
        ("softmax", "0.5", "category_limit = 1\n"),
        ("policy.toml", "0", ""),
        ("policy.toml", "0", "category_limit = 1\n"),
    ],
)
def test_after_warming_nothing_is_left_to_compile(name, random_share, rules, tmp_path):
    """A first compile inside a session timeout would cost the worker its partitions."""
    if name == "policy.toml":
        name = str(tmp_path / name)
        Path(name).write_text(EVERY_POLICY)
    rules_file = tmp_path / "rules.toml"
    rules_file.write_text(rules)
    found = subprocess.run(
        [sys.executable, "-c", COMPILED, name, random_share, str(rules_file) if rules else ""],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        cwd=Path(__file__).parents[2],
    )
    assert found.returncode == 0, found.stderr
