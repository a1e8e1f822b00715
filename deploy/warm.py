"""Compiles every kernel that worker, API and simulated shop need, of any settings, into NUMBA_CACHE_DIR.

Run while the image is built, so that a container never compiles. Needs no broker.
"""

import time
from pathlib import Path

import numpy as np

from state.evaluation.probabilities import Drawn, expectations
from state.policy.context import CONTEXT_SIZE
from state.simulation.config import ShopConfig
from state.simulation.shop import Shop
from stream.config import load_settings
from stream.entry_points import OWN_POLICIES
from stream.worker import assignment, warm, warm_policies

SHOP_SECONDS = 30


def warm_worker() -> None:
    """All that a worker runs: every policy of ours and the control group's, with rules and without."""
    settings = load_settings(rules_file=Path("rules.toml"), random_share=0.5)
    warm(settings)
    for policy in OWN_POLICIES:
        warm_policies(assignment(settings.model_copy(update={"policy": policy})), settings)


def warm_judge() -> None:
    """All that the API and `freshslate ope` run beside that: policies judged by slates that others drew."""
    settings = load_settings(random_share=0.5)
    # No axis of length 1: numba knows arrays by how they lie in memory.
    rows, candidates, slots = 2, 3, 2
    scores = np.ones((rows, candidates), np.float32)
    chosen = np.tile(np.arange(slots, dtype=np.int32), (rows, 1))
    drawn = Drawn(scores, np.full(rows, candidates, np.int32), chosen, np.full(rows, slots, np.int32))
    contexts = np.zeros((rows, candidates, CONTEXT_SIZE), np.uint8)
    values = np.zeros((rows, candidates, slots), np.float32)
    for name in OWN_POLICIES:
        for policy in assignment(settings.model_copy(update={"policy": name})).policies:
            expectations(policy, drawn, values, contexts=contexts)


def warm_shop() -> None:
    """All that `freshslate simulate` runs."""
    config = ShopConfig(events_per_second=50.0, shoppers=1000, items=200)
    shop = Shop(config, seed=1, start=0)
    shop.changes(0)
    for second in range(1, SHOP_SECONDS):
        shop.events(shop.advance(1000 * second))
        shop.serve(1000 * second)
    best = shop.best_slate(0, config.slots)
    shop.show(np.zeros(1, np.int64), best[None, :], shop.now, ["warm"])
    shop.click_probability(0, best)
    shop.purchase_probability(0, 0)
    shop.changes(1000 * SHOP_SECONDS)


def main() -> None:
    """Compile, and say how long it took."""
    started = time.perf_counter()
    warm_worker()
    warm_judge()
    warm_shop()
    print(f"kernels compiled in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
