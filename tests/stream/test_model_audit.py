"""Models that learned the same in another order are equal; whatever else differs is found."""

import random

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from msgspec.structs import replace

from state.catalogue import CatalogueItem
from state.models import Models
from stream.codecs import encode_delta, encode_item
from stream.config import Settings
from stream.model_audit import Content, content, differences, fold
from stream.worker import model_config
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
    from stream.codecs import decode_delta
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
