"""Reading an export and judging by it; the topics are read in tests/kafka/test_offpolicy.py."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import stream.offpolicy
from state.evaluation.evidence import OffPolicyError, gather
from state.policy.context import CONTEXT_SIZE
from state.policy.linear_ts import LinearTS
from state.policy.plan import Plan
from state.policy.softmax import Softmax
from state.policy.uniform import Uniform
from state.posterior.beliefs import PRIOR, Beliefs, prior
from stream.beliefs import Believed
from stream.config import Settings
from stream.heartbeat import heartbeat_key
from stream.offpolicy import Asked, Window, as_json, evaluate_policy, read_export
from tests.state.evaluation.logged import DAY, world
from tests.stream.exported import export
from tests.stream.records import record

pytest.importorskip("pyarrow", reason="pyarrow is absent: reading exports is NOT checked")

WARM, RANDOM, SHARP = Softmax(temperature=0.3), Uniform(), Softmax(temperature=0.2)
LOG = world(1_200, [(WARM, 0.8), (RANDOM, 0.2)])
WINDOW = Window(DAY, DAY + 2 * 86_400_000, 60_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported")
    export(LOG, path)
    return path


def test_an_export_is_the_log_that_was_written(folder: Path) -> None:
    told: list[str] = []
    read = read_export(folder, WINDOW, lambda what, *_: told.append(what))
    assert read.decisions.rows == 1_200
    assert read.decisions.rewards.sum() == LOG.rewards.sum()
    assert (read.left_out, read.rewards_elsewhere) == ({}, {})
    assert told == ["reading slates", "reading rewards"]
    assert gather(read.decisions, SHARP).weights == pytest.approx(gather(LOG, SHARP).weights, rel=1e-5)


async def test_slates_of_heartbeats_are_no_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(broker: str, topic: str, *, since: int) -> AsyncIterator[Any]:
        yield record(b"of a shopper", 0, topic=topic)
        yield record(b"of a heartbeat", 1, topic=topic, key=heartbeat_key(0))

    monkeypatch.setattr(stream.offpolicy, "read_topic", read)
    values = stream.offpolicy._values(Settings(), "slates", WINDOW, lambda *_: None)
    assert [value async for value in values] == [b"of a shopper"]


def test_what_was_read_is_judged_as_a_whole_and_in_parts(folder: Path) -> None:
    read = read_export(folder, WINDOW, lambda *_: None)
    told: list[str] = []
    found = evaluate_policy(
        read,
        Plan([(SHARP, 1.0)]),
        Asked(positions=2, by=("scenario", "day")),
        known=[WARM, RANDOM],
        on_progress=lambda what, *_: told.append(what),
    )
    assert found.evidence.balanced
    assert found.whole.estimates["dr"].value is not None
    assert list(found.by) == ["scenario", "day"]
    assert found.by["scenario"]["feed"].logged.slates == 1_200
    assert {"weighing slates", "drawing users again"} <= set(told)
    written = msgspec.json.decode(msgspec.json.encode(as_json(found, {"policy": "softmax"})))
    assert written["asked"] == {"policy": "softmax"}
    assert (written["slates"], written["positions"]) == (1_200, 2)
    assert written["weights"] == "mixture of the logged policies"
    assert written["whole"]["estimates"]["dr"]["ci95"][0] < written["whole"]["estimates"]["dr"]["value"]
    assert written["by"]["day"]


def test_several_policies_are_judged_by_their_shares(folder: Path) -> None:
    read = read_export(folder, WINDOW, lambda *_: None)
    judged = [(SHARP, 0.5), (RANDOM, 0.5)]
    mixed = evaluate_policy(read, Plan(judged), Asked(), known=[WARM, RANDOM]).whole.estimates["ips"].value
    alone = [
        evaluate_policy(read, Plan([(policy, 1.0)]), Asked(), known=[WARM, RANDOM])
        .whole.estimates["ips"]
        .value
        for policy, _ in judged
    ]
    assert mixed == pytest.approx(np.mean([value or 0.0 for value in alone]))


def test_an_export_of_other_days_has_nothing(folder: Path) -> None:
    read = read_export(folder, Window(DAY + 9 * 86_400_000, DAY + 10 * 86_400_000, 60_000), lambda *_: None)
    assert read.decisions.rows == 0
    with pytest.raises(OffPolicyError, match="there is no slate to judge by"):
        evaluate_policy(read, Plan([(SHARP, 1.0)]), Asked())


def test_slates_without_candidates_are_counted_and_said(tmp_path: Path) -> None:
    export(LOG.taken(np.arange(20, dtype=np.int32)), tmp_path, pools=False)
    read = read_export(tmp_path, WINDOW, lambda *_: None)
    assert read.left_out == {"no_pool": 20}
    with pytest.raises(
        OffPolicyError, match=r"20: their candidates are not logged .FRESHSLATE_LOG_CANDIDATES"
    ):
        evaluate_policy(read, Plan([(SHARP, 1.0)]), Asked())


def test_a_folder_that_is_not_there_is_refused_with_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(OffPolicyError, match="freshslate export slates --to"):
        read_export(tmp_path, WINDOW, lambda *_: None)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    place = tmp_path / "slates" / "day=2025-11-24"
    place.mkdir(parents=True)
    parquet.write_table(pa.table({"other": [1]}), place / "part-0-0.parquet")
    with pytest.raises(OffPolicyError, match="has no column `raw`"):
        read_export(tmp_path, WINDOW, lambda *_: None)


def test_a_learning_policy_needs_what_was_learned_before(folder: Path) -> None:
    read = read_export(folder, WINDOW, lambda *_: None)
    with pytest.raises(
        OffPolicyError, match=r"linear_ts goes by what was learned before --from.*leave out --log"
    ):
        evaluate_policy(read, Plan([(LinearTS(), 0.5), (RANDOM, 0.5)]), Asked())


def test_a_learning_policy_is_judged_by_what_is_believed(folder: Path) -> None:
    read = read_export(folder, WINDOW, lambda *_: None)
    mean = np.linspace(-1.0, 1.0, CONTEXT_SIZE).astype(np.float32)
    beliefs = Beliefs(3, {"": prior()._replace(mean=mean)})
    judged = Plan([(LinearTS(epsilon=0.5), 1.0)])
    found = evaluate_policy(read, judged, Asked(), known=[WARM, RANDOM], believed=Believed(beliefs, 70.0, 9))
    wanted = gather(read.decisions, judged.policies[0], arms=[WARM, RANDOM], beliefs=beliefs)
    assert found.evidence.weights == pytest.approx(wanted.weights)
    written = msgspec.json.decode(msgspec.json.encode(as_json(found, {})))
    assert written["believed"] == {"version": 3, "exposures": 70.0, "rewards": 9}


def test_contexts_of_another_program_judge_no_learning_policy(folder: Path) -> None:
    read = msgspec.structs.replace(read_export(folder, WINDOW, lambda *_: None), other_contexts=12)
    with pytest.raises(OffPolicyError, match="12 slates were logged by a program with other contexts"):
        evaluate_policy(read, Plan([(LinearTS(), 1.0)]), Asked(), believed=Believed(PRIOR, 0.0, 0))
    assert evaluate_policy(read, Plan([(SHARP, 1.0)]), Asked(), known=[WARM, RANDOM]).believed is None
