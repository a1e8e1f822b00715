"""Models that learned the same in another order are equal; whatever else differs is found."""

import random

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from msgspec.structs import replace

from state.catalogue import CatalogueItem
from state.models import Models
from state.posterior.posterior import Posterior
from stream.codecs import decode_delta, decode_reward, encode_delta, encode_item, encode_reward
from stream.config import Settings
from stream.followed import learning_config
from stream.model_audit import (
    Content,
    content,
    differences,
    fold,
    fold_posterior,
    posterior_differences,
)
from stream.worker import model_config
from tests.state.posterior.made import delta, rewards
from tests.state.posterior.made import log as feedback_log
from tests.state.retrieval.shops import make_delta, make_interactions

SETTINGS = Settings(broker="nowhere:1", source_weights=("hour=0.1",))
PARTITIONS = 3
PER_DELTA = 10


def log_of(seed: int = 4) -> list[list[ConsumerRecord]]:
    """By partition: deltas and items; a session is in one partition, as a user is."""
    rows = make_interactions(seed)
    partitions = [[row for row in rows if row[1] % PARTITIONS == number] for number in range(PARTITIONS)]
    log = []
    for number, own in enumerate(partitions):
        deltas = [make_delta(own[start : start + PER_DELTA]) for start in range(0, len(own), PER_DELTA)]
        values = [encode_delta(replace(delta, partition=number)) for delta in deltas]
        log.append([record(SETTINGS.deltas_topic, number, n, b"0", value) for n, value in enumerate(values)])
    for number in range(PARTITIONS):
        for offset, name in enumerate(f"i{n}" for n in range(number, 20, PARTITIONS)):
            item = CatalogueItem(item_id=name, category=f"c{offset % 3}", available=offset != 2)
            log[number].append(record(SETTINGS.items_topic, number, offset, name.encode(), encode_item(item)))
        log[number].append(record(SETTINGS.items_topic, number, 90, b"i%d" % number, None))
        log[number].append(record(SETTINGS.items_topic, number, 91, b"odd", b"{"))
    return log


def record(topic: str, partition: int, offset: int, key: bytes, value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord(topic, partition, offset, 0, 0, key, value, None, -1, -1, ())


def everything(log: list[list[ConsumerRecord]]) -> dict[TopicPartition, int]:
    """Offsets after the last record of each partition."""
    return {TopicPartition(r.topic, r.partition): r.offset + 1 for partition in log for r in partition}


def folded(log: list[list[ConsumerRecord]]) -> Content:
    """In the order of the partitions."""
    return content(fold([r for partition in log for r in partition], everything(log), SETTINGS))


def interleaved(log: list[list[ConsumerRecord]], seed: int) -> Content:
    """Partitions in a random order, as they reach a worker; each in its own."""
    draw, waiting, mixed = random.Random(seed), [list(partition) for partition in log], []
    while any(waiting):
        mixed.append(draw.choice([partition for partition in waiting if partition]).pop(0))
    # One at a time: deltas and items are mixed too.
    models = fold([], {}, SETTINGS)
    for one in mixed:
        learned = fold_into(models, one)
        assert learned is models
    return content(models)


def fold_into(models: Models, one: ConsumerRecord) -> Models:
    from stream.model_audit import _fold_item

    if one.topic == SETTINGS.deltas_topic:
        models.learn([decode_delta(one.value)])
    else:
        _fold_item(models, one)
    return models


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_partitions_come_does_not_matter(seed: int) -> None:
    log = log_of()
    expected = folded(log)
    assert differences(interleaved(log, seed), expected) == []
    assert len(expected.sessions) > 40
    assert len(expected.rules) > 200
    assert len(expected.recommendable) > 10
    assert len(set(expected.categories.values())) == 3
    assert len(expected.features) > 10
    assert len(expected.hours) > 100


@pytest.mark.parametrize("what", ["lost", "repeated"])
def test_a_delta_too_few_or_too_many_is_found(what: str) -> None:
    log = log_of()
    expected = folded(log)
    at = next(n for n, r in enumerate(log[1]) if r.topic == SETTINGS.deltas_topic and n > 2)
    if what == "lost":
        del log[1][at]
    else:
        log[1].insert(at, log[1][at])
    said = differences(folded(log), expected)
    assert any(line.startswith("popularity") for line in said)
    assert any(line.startswith("rules") for line in said)


def test_an_item_withdrawn_by_one_worker_alone_is_found() -> None:
    log = log_of()
    expected = folded(log)
    log[2].append(record(SETTINGS.items_topic, 2, 99, b"i5", None))
    found = [line.split()[0] for line in differences(folded(log), expected)]
    assert found == ["catalogue", "recommendable", "categories", "features"]


def test_only_records_below_the_offsets_are_folded() -> None:
    log = log_of()
    offsets = everything(log) | {TopicPartition(SETTINGS.deltas_topic, 0): 2}
    records = [r for partition in log for r in partition]
    log[0] = [r for r in log[0] if r.topic != SETTINGS.deltas_topic or r.offset < 2]
    assert differences(content(fold(records, offsets, SETTINGS)), folded(log)) == []


def test_models_that_forgot_sessions_are_compared_without_them() -> None:
    config = replace(model_config(SETTINGS), max_sessions=16)
    models = Models(config)
    models.learn([make_delta(make_interactions(4))])
    found = content(models)
    assert (found.sessions, found.rules, found.sessions_of) == ({}, {}, {})
    assert found.popularity


# The posterior ----------------------------------------------------------------------------------------


def feedback_of(seed: int) -> list[ConsumerRecord]:
    """Exposures and rewards, by partition."""
    found = []
    for number in range(PARTITIONS):
        shown = feedback_log((seed, number), count=200, scenarios=("feed", "cart"))
        values = [encode_delta(delta(shown[n : n + 10], number)) for n in range(0, len(shown), 10)]
        answers = [encode_reward(each) for each in rewards(shown)]
        for topic, run in ((SETTINGS.deltas_topic, values), (SETTINGS.rewards_topic, answers)):
            found += [stamped(topic, number, n, value, shown[-1].time) for n, value in enumerate(run)]
    return found


def stamped(topic: str, partition: int, offset: int, value: bytes, time: int) -> ConsumerRecord:
    return ConsumerRecord(topic, partition, offset, time, 0, b"0", value, None, -1, -1, ())


def ends(records: list[ConsumerRecord]) -> dict[TopicPartition, int]:
    return everything([records])


@pytest.mark.parametrize("seed", range(5))
def test_a_posterior_is_equal_in_whatever_order_its_topics_come(seed: int) -> None:
    records = feedback_of(seed)
    expected = fold_posterior(records, ends(records), SETTINGS)
    mixed = records.copy()
    random.Random(seed).shuffle(mixed)
    found = Posterior(learning_config(SETTINGS))
    for each in mixed:
        if each.topic == SETTINGS.deltas_topic:
            found.learn([decode_delta(each.value)], [each.timestamp])
        else:
            found.reward([decode_reward(each.value)], [each.timestamp])
    assert posterior_differences(found, expected) == []
    assert expected.beliefs().by_scenario[""].count > 100


@pytest.mark.parametrize(
    ("topic", "lines"),
    [
        (SETTINGS.deltas_topic, ["outer", "shown", "exposures"]),
        (SETTINGS.rewards_topic, ["delays", "earned", "squares"]),
    ],
)
@pytest.mark.parametrize("what", ["lost", "repeated"])
def test_a_record_too_few_or_too_many_is_found_in_the_posterior(
    what: str, topic: str, lines: list[str]
) -> None:
    records = feedback_of(1)
    expected = fold_posterior(records, ends(records), SETTINGS)
    at = next(n for n, each in enumerate(records) if each.topic == topic and n % 50 > 3)
    changed = records[:at] + records[at + 1 :] if what == "lost" else [records[at], *records]
    said = posterior_differences(fold_posterior(changed, ends(records), SETTINGS), expected)
    for name in lines:
        assert any(line.startswith(f"posterior: {name}") for line in said)


def test_a_posterior_that_knows_of_another_slate_or_scenario_is_found() -> None:
    records = feedback_of(1)
    expected = fold_posterior(records, ends(records), SETTINGS)
    for change, line in (({"time": 1}, "the newest slate"), ({"scenario": "video"}, "scenarios")):
        found = fold_posterior(records, ends(records), SETTINGS)
        last = max((each for each in feedback_log((1, 0), count=9)), key=lambda each: each.time)
        moved = last._replace(**change)
        if "time" in change:
            moved = moved._replace(time=(expected.newest or 0) + 1)
        found.learn([delta([moved])])
        (said,) = posterior_differences(found, expected)
        assert said.startswith(f"posterior: {line}")
