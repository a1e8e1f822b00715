"""The table of faults; each of them is done to real workers in `tests/kafka/test_drill.py`."""

import asyncio
import random
from typing import Any

import pytest

from stream import faults
from stream.config import Settings
from stream.drill import acts
from stream.drill.acts import FAULTS, Stage
from stream.drill.flow import Flow
from stream.drill.load import Load
from stream.proxy import Proxy

SETTINGS = Settings(broker="nowhere:1")


def a_stage(**parts: Any) -> Stage:
    unused: Any = None
    return Stage(
        **{
            "settings": SETTINGS,
            "team": unused,
            "kafka": unused,
            "proxy": Proxy(1, 2),
            "load": Load(SETTINGS, rate=1, seed=1),
            "flow": Flow(SETTINGS),
            "draw": random.Random(1),
            **parts,
        }
    )


def test_every_fault_point_has_its_fault() -> None:
    visited = set(faults.POINTS)
    named = {"assigned": "die_assigned", "restore": "die_restoring", "snapshot": "die_snapshot"}
    named |= {"offsets": "die_committing", "apply": "die_applying"}
    assert named.keys() == visited
    assert set(named.values()) <= FAULTS.keys()


def test_every_fault_says_in_a_line_what_it_is() -> None:
    assert len({fault.about for fault in FAULTS.values()}) == len(FAULTS)
    assert all(0 < len(fault.about) < 80 for fault in FAULTS.values())


async def test_a_cut_refuses_for_a_while_and_a_slow_line_is_fast_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = a_stage()
    seen = []

    async def passing(seconds: float) -> None:
        seen.append((seconds, stage.proxy.is_refusing, stage.proxy.delay_seconds))

    monkeypatch.setattr(asyncio, "sleep", passing)
    assert "cut all 0 connections" in await FAULTS["cut"].act(stage)
    assert "150 ms each way" in await FAULTS["slow"].act(stage)
    assert seen == [(acts.REFUSED_SECONDS, True, 0.0), (acts.PHASE_SECONDS, False, acts.SLOW_SECONDS)]
    assert (stage.proxy.is_refusing, stage.proxy.delay_seconds) == (False, 0.0)


async def test_input_faults_end_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = a_stage()
    seen = []

    async def passing(seconds: float) -> None:
        seen.append((stage.load.is_hot, stage.load.retries))

    monkeypatch.setattr(asyncio, "sleep", passing)
    await FAULTS["hot_user"].act(stage)
    await FAULTS["retries"].act(stage)
    assert seen == [(True, False), (False, True)]
    assert (stage.load.is_hot, stage.load.retries) == (False, False)
