from collections.abc import Callable
from unittest.mock import MagicMock, create_autospec

import numba
import numpy as np
import pytest

from deploy import warm
from state.evaluation import probabilities
from state.evaluation.evidence import gather_plan
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.simulation.shop import Shop
from stream.config import Settings
from stream.entry_points import OWN_POLICIES
from stream.worker import assignment
from tests.state.evaluation.logged import world

WITHOUT_KERNELS = {"now", "tally"}
"""Of the shop."""
JUDGING = ("_mixture", "_by_gaps", "_by_committee")
"""Kernels that judging calls; each calls others, which are compiled with it."""


def test_every_policy_is_compiled_with_rules_and_the_control_groups_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, policies = MagicMock(), MagicMock()
    monkeypatch.setattr(warm, "warm", worker)
    monkeypatch.setattr(warm, "warm_policies", policies)
    warm.warm_worker()
    (settings,) = worker.call_args.args
    assert settings.rules_file is not None
    served = [[type(each) for each in call.args[0].policies] for call in policies.call_args_list]
    assert len(served) == len(OWN_POLICIES)
    assert all(Uniform in each for each in served)
    assert len({each for both in served for each in both} - {Uniform}) == len(OWN_POLICIES)
    assert all(call.args[1].rules_file is not None for call in policies.call_args_list)


def test_every_policy_is_compiled_for_judging_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = MagicMock()
    monkeypatch.setattr(warm, "expectations", judged)
    warm.warm_judge()
    kinds = {type(call.args[0]) for call in judged.call_args_list}
    assert len(kinds - {Uniform}) == len(OWN_POLICIES)
    assert Uniform in kinds


def test_a_judge_that_is_warm_compiles_no_more_for_a_real_log(monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, set[tuple[object, ...]]] = {name: set() for name in JUDGING}

    def noted(name: str, kernel: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object) -> None:
            called[name].add(tuple(map(numba.typeof, args)))
            kernel(*args)

        return call

    for name in JUDGING:
        monkeypatch.setattr(probabilities, name, noted(name, getattr(probabilities, name)))
    warm.warm_judge()
    compiled = {name: set(types) for name, types in called.items()}
    assert all(compiled.values())
    drew = Softmax(temperature=0.5)
    policies = [
        policy
        for name in OWN_POLICIES
        for policy in assignment(Settings(policy=name, random_share=0.5)).policies
    ]
    arms = [(policy, 1 / len(policies)) for policy in policies]
    gather_plan(world(40, [(drew, 1.0)]), {"": arms}, arms=[drew])
    assert called == compiled


def test_all_that_a_shop_can_do_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = create_autospec(Shop, instance=True)
    shop.best_slate.return_value = np.zeros(5, np.int64)
    monkeypatch.setattr(warm, "Shop", lambda *_, **__: shop)
    warm.warm_shop()
    called = {name for name, *_ in shop.method_calls}
    assert called == {name for name in vars(Shop) if not name.startswith("_")} - WITHOUT_KERNELS
    shoppers, slates, _, names = shop.show.call_args.args
    assert len(shoppers) == len(slates) == len(names) == 1
