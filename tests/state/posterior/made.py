"""Exposures and rewards with a known truth, as the records that carry them."""

from base64 import b64encode
from typing import NamedTuple

import numpy as np

from state.policy.context import CONTEXT_SET, CONTEXT_SIZE
from state.slate import Delta, Exposures, Reward

T = 1_763_831_000_000
"""Time of the first slate, epoch milliseconds."""
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Shown(NamedTuple):
    """One exposure, and what it earned: type, reward and seconds of delay each."""

    slate: str
    time: int
    scenario: str
    position: int
    context: tuple[int, ...]
    answers: tuple[tuple[str, float, float], ...] = ()


def context(seed):
    """A context: its first number is 1."""
    rest = np.random.default_rng(seed).integers(0, 256, CONTEXT_SIZE - 1)
    return (255, *rest.tolist())


def log(seed, *, count=200, minutes=120, scenarios=("feed", "product"), rate=0.4):
    """Random exposures with their answers, one a slate, in the order of time."""
    draw = np.random.default_rng(seed)
    whole = np.atleast_1d(seed).tolist()
    times = T + np.sort(draw.integers(0, minutes * MINUTE, count))
    kinds = (("click", 1.0, 60.0), ("add_to_cart", 2.0, 1200.0), ("purchase", 5.0, 20_000.0))
    shown = []
    for n, time in enumerate(times.tolist()):
        answers = tuple(
            (name, reward, round(float(draw.exponential(mean)), 3))
            for name, reward, mean in kinds
            if draw.random() < rate
        )
        scenario = scenarios[int(draw.integers(len(scenarios)))]
        shown.append(Shown(f"s{n}", time, scenario, 1 + n % 3, context((*whole, n)), answers))
    return shown


def delta(shown, partition=0, **changes):
    """The delta in which these exposures are; slates are told once."""
    slates = list(dict.fromkeys((each.slate, each.time, each.scenario) for each in shown))
    place = {slate: n for n, (slate, _, _) in enumerate(slates)}
    exposures = Exposures(
        **{
            "slates": tuple(slate for slate, _, _ in slates),
            "times": tuple(time for _, time, _ in slates),
            "policies": ("softmax/1",) * len(slates),
            "slate": tuple(place[each.slate] for each in shown),
            "position": tuple(each.position for each in shown),
            "context": b64encode(bytes(b for each in shown for b in each.context)).decode(),
            "context_set": CONTEXT_SET,
            "scenarios": tuple(scenario for _, _, scenario in slates),
            **changes,
        }
    )
    return Delta(
        partition=partition,
        spans=(),
        events=0,
        duplicates=0,
        dead_letters=0,
        slates=0,
        items=(),
        item=(),
        session=(),
        time=(),
        type=(),
        exposures=exposures,
    )


def rewards(shown):
    """What these exposures earned."""
    return [
        Reward(
            reward_id=f"{each.slate}:{n}",
            slate_id=each.slate,
            event_id=f"e{each.slate}:{n}",
            user_id="u",
            tenant="default",
            scenario=each.scenario,
            item_id="i",
            position=each.position,
            type=name,
            time=each.time + round(1000 * delay),
            reward=reward,
            value=None,
            currency=None,
            propensity=0.5,
            policy="softmax",
            policy_version="1",
            delay_seconds=delay,
            features=tuple(map(float, each.context)),
        )
        for each in shown
        for n, (name, reward, delay) in enumerate(each.answers)
    ]
