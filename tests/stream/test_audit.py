"""The audit finds nothing wrong with an honest log, and every way of tampering with one."""

from collections import Counter

import pytest

from state.models import Models
from stream.audit import Report, _check, _Partition
from stream.codecs import decode_delta, decode_slate
from stream.work import Engine, work
from tests.stream.records import DictStore, engine, records, shop_events

CYCLE = 17


def taught() -> Engine:
    """An engine whose models know the shop, so that its slates have items and earn rewards."""
    models = Models()
    result = work(0, {"events": records(shop_events(5))}, DictStore(), engine())
    models.learn([decode_delta(value) for _, value, _ in result.deltas])
    return engine(models)


ENGINE = taught()


def processed() -> _Partition:
    """One partition of a shop's topics as an honest worker leaves them."""
    log = records(shop_events(5))
    store, partition = DictStore(), _Partition()
    partition.inputs["events"] = log
    for start in range(0, len(log), CYCLE):
        result = work(0, {"events": log[start : start + CYCLE]}, store, ENGINE)
        store.update(row for row in result.changelog if not row[0].startswith(b"\0"))
        partition.slates += [decode_slate(value) for _, value, _ in result.slates]
        partition.rewards.update(value for _, value, _ in result.rewards)
        partition.deltas += [decode_delta(value) for _, value, _ in result.deltas]
        partition.dead_letters.update((key, value) for key, value, _ in result.dead_letters)
    partition.profiles = dict(store)
    return partition


def checked(partition: _Partition) -> Report:
    report = Report()
    _check(0, partition, ENGINE, report)
    return report


def test_an_honest_log_is_clean_and_every_record_is_accounted_for() -> None:
    report = checked(processed())
    assert report.is_clean
    assert report.records == report.events + report.dead_letters == 120
    assert report.slates > 50
    assert report.duplicate_events > 0
    assert report.dead_letters > 0
    assert report.profiles_compared == 9


def lose_a_slate(it: _Partition) -> None:
    del it.slates[3]


def repeat_a_slate(it: _Partition) -> None:
    it.slates.append(it.slates[3])


def lose_a_cycle(it: _Partition) -> None:
    del it.deltas[2]


def repeat_a_cycle(it: _Partition) -> None:
    it.deltas.insert(3, it.deltas[2])


def lose_the_last_cycle(it: _Partition) -> None:
    it.deltas.pop()


def spoil_a_profile(it: _Partition) -> None:
    user = min(it.profiles)
    it.profiles[user] = it.profiles[user] + b" "


def lose_a_profile(it: _Partition) -> None:
    it.profiles.pop(min(it.profiles))


def lose_a_reward(it: _Partition) -> None:
    it.rewards.subtract([min(it.rewards)])


def repeat_a_reward(it: _Partition) -> None:
    it.rewards.update([min(it.rewards)])


def lose_a_dead_letter(it: _Partition) -> None:
    it.dead_letters = it.dead_letters - Counter([next(iter(it.dead_letters))])


@pytest.mark.parametrize(
    ("tamper", "said_of"),
    [
        (lose_a_slate, "lost"),
        (repeat_a_slate, "duplicates"),
        (lose_a_cycle, "lost"),
        (repeat_a_cycle, "duplicates"),
        (lose_the_last_cycle, "lost"),
        (spoil_a_profile, "profiles_different"),
        (lose_a_profile, "profiles_different"),
        (lose_a_reward, "rewards_different"),
        (repeat_a_reward, "rewards_different"),
        (lose_a_dead_letter, "dead_letters_different"),
    ],
)
def test_tampering_is_found(tamper, said_of: str) -> None:
    partition = processed()
    tamper(partition)
    report = checked(partition)
    assert not report.is_clean
    assert getattr(report, said_of) > 0
