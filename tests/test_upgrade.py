"""What today's code makes of bytes that other versions wrote; docs/upgrade.md names these tests."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import UNSET

from state.errors import UnreadableState
from state.models import SNAPSHOT_VERSION, Models
from state.profile import PROFILE_VERSION
from state.slate import SCHEMA_VERSION
from stream.codecs import (
    decode_delta,
    decode_marker,
    decode_profile,
    decode_reward,
    decode_slate,
    encode_delta,
    encode_profile,
    encode_reward,
    encode_slate,
)
from stream.config import load_settings
from stream.followed import FollowedTopics, learning_config
from stream.ranker import RankerRefused, decode_ranker
from stream.replica import Replica
from stream.worker import model_config

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
FIRST, PREVIOUS, TODAY = sorted(path.name for path in FIXTURES.iterdir() if path.name[:2] == "20")
READABLE = (PREVIOUS, TODAY)
ANSWERS = {
    "slate": (decode_slate, encode_slate),
    "reward": (decode_reward, encode_reward),
    "delta": (decode_delta, encode_delta),
}


def written(folder: str, name: str) -> bytes:
    return (FIXTURES / folder / name).read_bytes()


def replica(folder: str, path: Path, **changes: Any) -> Replica:
    """A replica of the topics that the snapshot was learned from, with some of its arrays changed."""
    with np.load(FIXTURES / folder / "models.npz") as stored:
        arrays = {name: stored[name] for name in stored.files} | changes
    snapshot = path / "models-1.npz"
    np.savez(snapshot, **arrays)
    prefix = str(arrays["replica_topics"][0]).split(".")[0]
    return Replica(
        "127.0.0.1:1",
        topics=FollowedTopics(*(f"{prefix}.{name}" for name in ("deltas", "items", "rewards"))),
        config=model_config(load_settings()),
        learning=learning_config(load_settings()),
        snapshot=snapshot,
        snapshot_seconds=60.0,
    )


@pytest.mark.parametrize("folder", READABLE)
def test_a_profile_of_an_older_code_is_read_with_its_open_slates(folder: str) -> None:
    profile = decode_profile(written(folder, "profile.msgpack"))
    assert profile.version == PROFILE_VERSION
    assert len(profile.items) == len(profile.times) == len(profile.types) > 20
    assert len(profile.open_slates) == 3
    for slate in profile.open_slates:
        assert len(slate.items) == len(slate.propensities) > 0
        assert 0 < slate.propensity_at(1) <= 1
    assert bool(profile.touched) == (folder == TODAY)


def test_a_profile_of_a_newer_code_of_the_same_version_is_read_without_what_is_unknown() -> None:
    value = written(TODAY, "profile.msgpack")
    fields = msgspec.msgpack.decode(value)
    assert decode_profile(msgspec.msgpack.encode([*fields, "of tomorrow"])) == decode_profile(value)


@pytest.mark.parametrize("version", [PROFILE_VERSION - 1, PROFILE_VERSION + 1])
def test_a_profile_of_another_version_stops_the_worker_instead_of_being_misread(version: int) -> None:
    _, *fields = msgspec.msgpack.decode(written(TODAY, "profile.msgpack"))
    with pytest.raises(UnreadableState, match=f"it has version {version}, this Freshslate knows version 1"):
        decode_profile(msgspec.msgpack.encode([version, *fields]))


@pytest.mark.parametrize("folder", READABLE)
def test_a_marker_of_an_older_code_is_read(folder: str) -> None:
    marker = decode_marker(written(folder, "marker.msgpack"))
    assert marker.offset >= 299
    assert marker.writer.startswith("fix")


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("folder", READABLE)
def test_a_slate_a_reward_and_a_delta_of_an_older_code_are_read(folder: str, what: str) -> None:
    value = written(folder, f"{what}.json")
    found = json.loads(msgspec.json.encode(ANSWERS[what][0](value)))
    told = json.loads(value)
    assert {name: found[name] for name in told} == told
    assert found["schema_version"] == SCHEMA_VERSION


def test_what_an_older_code_did_not_say_is_absent_and_not_made_up() -> None:
    delta, slate = (ANSWERS[what][0](written(PREVIOUS, f"{what}.json")) for what in ("delta", "slate"))
    assert delta.exposures is UNSET
    assert delta.folded is UNSET
    assert slate.pool is UNSET
    assert all(item.expected is UNSET for item in slate.items)


@pytest.mark.parametrize("what", ANSWERS)
def test_a_slate_a_reward_and_a_delta_of_a_newer_code_are_read_without_what_is_unknown(what: str) -> None:
    decode, _ = ANSWERS[what]
    value = written(TODAY, f"{what}.json")
    assert decode(json.dumps(json.loads(value) | {"of_tomorrow": [1]}).encode()) == decode(value)


@pytest.mark.parametrize("what", ANSWERS)
def test_a_slate_a_reward_and_a_delta_of_a_newer_schema_stop_the_reader(what: str) -> None:
    value = json.loads(written(TODAY, f"{what}.json")) | {"schema_version": SCHEMA_VERSION + 1}
    with pytest.raises(UnreadableState, match="it has version 2, this Freshslate knows version 1"):
        ANSWERS[what][0](json.dumps(value).encode())


@pytest.mark.parametrize("folder", READABLE)
def test_models_learn_from_deltas_of_an_older_code(folder: str) -> None:
    delta = decode_delta(written(folder, "delta.json"))
    models = Models()
    models.learn([delta])
    assert models.n_items == len(delta.items) > 5


def test_a_snapshot_of_today_is_gone_on_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = replica(TODAY, tmp_path)
    assert found.models.n_items > 5
    assert found.models.n_sessions > 0
    assert caplog.records == []


@pytest.mark.parametrize(
    ("folder", "changes", "told"),
    [
        (FIRST, {}, "it holds no posterior: an older program wrote it"),
        (PREVIOUS, {}, "it holds no posterior: an older program wrote it"),
        (TODAY, {"version": np.array([1])}, f"snapshot has version 1, this program reads {SNAPSHOT_VERSION}"),
        (TODAY, {"version": np.array([3])}, f"snapshot has version 3, this program reads {SNAPSHOT_VERSION}"),
        (TODAY, {"folded": np.frombuffer(b"other", np.uint8)}, "snapshot was learned with other; now it is"),
        (TODAY, {"posterior.learned": np.frombuffer(b"{}", np.uint8)}, "the posterior was learned with {}"),
        (TODAY, {"rules.kept": np.zeros(1, np.int64)}, "rules.kept has rows of int64"),
        (TODAY, {"posterior.shown": np.zeros((1, 2, 3))}, "posterior.shown has rows of float64[2, 3]"),
        (TODAY, {"replica_journal": np.frombuffer(b"\x93\x01\x02\x03", np.uint8)}, "Expected"),
    ],
)
def test_a_snapshot_of_another_version_is_left_out_and_the_topics_are_read_again(
    folder: str, changes: dict[str, Any], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    found = replica(folder, tmp_path, **changes)
    assert found.models.n_items == 0
    (line,) = caplog.messages
    assert "left out, reading the topics instead: " in line
    assert told in line


@pytest.mark.parametrize("folder", READABLE)
def test_a_ranker_over_the_same_features_serves_whoever_trained_it(folder: str) -> None:
    assert decode_ranker(written(folder, "ranker.bin")).card.lists == 1000


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"freshslate_ranker":1', b'"freshslate_ranker":2', "it has format 2, this Freshslate reads 1"),
        (b'"feature_set":"', b'"feature_set":"x', "it is damaged: its hash is"),
    ],
)
def test_a_ranker_of_another_format_is_refused(old: bytes, new: bytes, told: str) -> None:
    value = written(TODAY, "ranker.bin")
    assert old in value
    with pytest.raises(RankerRefused, match=told):
        decode_ranker(value.replace(old, new))


@pytest.mark.parametrize("what", ANSWERS)
def test_today_writes_what_its_fixture_says_byte_for_byte(what: str) -> None:
    decode, encode = ANSWERS[what]
    value = written(TODAY, f"{what}.json")
    assert encode(decode(value)) == value


def test_today_writes_the_profile_of_its_fixture_byte_for_byte() -> None:
    value = written(TODAY, "profile.msgpack")
    assert encode_profile(decode_profile(value)) == value
    # A new field is written even where it has its default: another length is another schema.
    assert len(msgspec.msgpack.decode(value)) == len(msgspec.structs.fields(decode_profile(value)))


def test_every_row_of_the_upgrade_page_names_tests_that_exist() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "upgrade.md").read_text().splitlines()
        if line.startswith("| ") and "test_" in line
    ]
    assert len(rows) >= 9
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, row
        for name in names:
            assert f"def {name}(" in sources, name
