from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest

from deploy import warm
from state.policy.uniform import Uniform
from state.simulation.shop import Shop
from stream.entry_points import OWN_POLICIES

WITHOUT_KERNELS = {"now", "tally"}
"""Of the shop."""


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


def test_all_that_a_shop_can_do_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = create_autospec(Shop, instance=True)
    shop.best_slate.return_value = np.zeros(5, np.int64)
    monkeypatch.setattr(warm, "Shop", lambda *_, **__: shop)
    warm.warm_shop()
    called = {name for name, *_ in shop.method_calls}
    assert called == {name for name in vars(Shop) if not name.startswith("_")} - WITHOUT_KERNELS
    shoppers, slates, _, names = shop.show.call_args.args
    assert len(shoppers) == len(slates) == len(names) == 1
