"""Fixtures of the runtime's tests without a broker."""

import pytest

import stream.loop
import stream.published
from tests.stream.fakes import Rig


@pytest.fixture
async def make(tmp_path, monkeypatch):
    monkeypatch.setattr(stream.loop, "RETRY_SECONDS", 0.001)
    made = []

    def rig(**settings):
        made.append(Rig(tmp_path / str(len(made)), **settings))
        monkeypatch.setattr(stream.published, "read_topic", made[-1].log.read_topic)
        return made[-1]

    yield rig
    for each in made:
        await each.end()


@pytest.fixture
async def rig(make):
    return make()
