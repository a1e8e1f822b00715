"""The agent's wiring, as far as it needs no broker."""

from pathlib import Path

import pytest
from faust.types import TP

from agents.personalize import build_app, together
from state.errors import SetupError
from stream.config import Settings

INPUTS = ("clicks", "purchases")


def test_equal_partitions_of_every_input_are_one_assignment() -> None:
    assigned = [TP("clicks", 3), TP("purchases", 1), TP("clicks", 1), TP("purchases", 3)]
    assert together(assigned, INPUTS) == {1, 3}


def test_an_assignment_may_be_empty() -> None:
    assert together([], INPUTS) == frozenset()


@pytest.mark.parametrize(
    "assigned", [[TP("clicks", 1)], [TP("clicks", 1), TP("purchases", 2)]], ids=["one alone", "crossed"]
)
def test_partitions_that_do_not_belong_together_stop_the_worker(assigned: list[TP]) -> None:
    with pytest.raises(SetupError, match="not assigned together"):
        together(assigned, INPUTS)


def test_a_topic_that_is_no_input_does_not_count() -> None:
    assert together([TP("clicks", 0), TP("purchases", 0), TP("other", 7)], INPUTS) == {0}


async def test_the_app_has_one_agent_on_all_inputs_and_a_worker(tmp_path: Path) -> None:
    settings = Settings(inputs=INPUTS, topic_prefix="p.", app_id="test-personalize", data_dir=tmp_path)
    app = build_app(settings)
    (agent,) = app.agents.values()
    assert set(agent.channel.topics) == {"p.clicks", "p.purchases"}
    assert app.worker.loop.counts.events == 0
    assert (tmp_path / "test-personalize" / "worker-0").is_dir()
    await app.worker.stop()
