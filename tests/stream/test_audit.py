"""The audit finds nothing wrong with an honest log, and every way of tampering with one."""

from collections import Counter
from typing import Any, Literal

import msgspec
import pytest

from state.event import HEARTBEAT_TENANT
from state.models import Models
from stream.audit import Differences, Report, _check, _Cycle, _Partition
from stream.codecs import decode_delta, decode_slate, encode_slate
from stream.heartbeat import heartbeat, heartbeat_key
from stream.work import Engine, work
from tests.stream.records import DictStore, T, click, engine, record, records, shop_events

CYCLE = 17
COMMIT_MS = 20
"""From a cycle's last record to its commit."""


def taught() -> Engine:
    """An engine whose models know the shop, so that its slates have items and earn rewards."""
    models = Models()
    result = work(0, {"events": records(shop_events(5))}, DictStore(), engine())
    models.learn([decode_delta(value) for _, value, _ in result.deltas])
    return engine(models)


ENGINE = taught()
Guarantee = Literal["exactly_once", "at_least_once"]


def with_heartbeats(values: list[Any]) -> list[Any]:
    """A heartbeat before every tenth record."""
    return [v for n, value in enumerate(values) for v in ([b"beat", value] if n % 10 == 0 else [value])]


def processed(values: list[Any] | None = None) -> _Partition:
    """One partition of a shop's topics as an honest worker leaves them."""
    values = shop_events(5) if values is None else values
    log = [
        record(heartbeat(0, T + 1000 * n), n, key=heartbeat_key(0)) if value == b"beat" else record(value, n)
        for n, value in enumerate(values)
    ]
    store, partition = DictStore(), _Partition()
    partition.inputs["events"] = log
    for start in range(0, len(log), CYCLE):
        result = work(0, {"events": log[start : start + CYCLE]}, store, ENGINE)
        store.update(row for row in result.changelog if not row[0].startswith(b"\0"))
        partition.slates += [value for _, value, _ in result.slates]
        partition.rewards.update(value for _, value, _ in result.rewards)
        committed_at = log[start : start + CYCLE][-1].timestamp + COMMIT_MS
        partition.cycles += [_Cycle(decode_delta(value), committed_at) for _, value, _ in result.deltas]
        partition.dead_letters.update((key, value) for key, value, _ in result.dead_letters)
    partition.profiles = dict(store)
    return partition


def checked(
    partition: _Partition, guarantee: Guarantee = "exactly_once", told: Differences | None = None
) -> Report:
    report = Report(processing_guarantee=guarantee)
    _check(0, partition, ENGINE, report, told or Differences())
    return report


def test_an_honest_log_is_clean_and_every_record_is_accounted_for() -> None:
    report = checked(processed())
    assert report.is_clean
    assert report.records == report.events + report.dead_letters == 120
    assert report.slates > 50
    assert report.duplicate_events > 0
    assert report.dead_letters > 0
    assert report.profiles_compared == 9


def test_what_differs_is_told_as_folded_and_as_found() -> None:
    it, told = processed(), Differences()
    honest = processed()
    user, reward = min(it.profiles), min(it.rewards)
    spoil_a_profile(it)
    it.rewards[reward] -= 1
    it.rewards[b"odd"] += 1
    report = checked(it, told=told)
    assert (report.profiles_different, report.rewards_different) == (1, 2)
    assert told.profiles == [(honest.profiles[user], it.profiles[user])]
    assert told.rewards == [(Counter([reward]), Counter([b"odd"]))]


def lose_a_slate(it: _Partition) -> None:
    del it.slates[3]


def repeat_a_slate(it: _Partition) -> None:
    it.slates.append(it.slates[3])


def lose_a_cycle(it: _Partition) -> None:
    del it.cycles[2]


def repeat_a_cycle(it: _Partition) -> None:
    it.cycles.insert(3, it.cycles[2])


def lose_the_last_cycle(it: _Partition) -> None:
    it.cycles.pop()


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


# Heartbeats ------------------------------------------------------------------------------------------


def beating() -> _Partition:
    """A log with heartbeats, the last of which no cycle has taken yet."""
    partition = processed(with_heartbeats(shop_events(5)))
    log = partition.inputs["events"]
    log.append(record(heartbeat(0, T), log[-1].offset + 1, key=heartbeat_key(0)))
    partition.ends = {"events": log[-1].offset + 1}
    return partition


def beat_of(it: _Partition, number: int) -> int:
    """Index of a heartbeat's slate."""
    return [n for n, value in enumerate(it.slates) if HEARTBEAT_TENANT.encode() in value][number]


def test_heartbeats_are_counted_apart_and_those_on_their_way_are_not_lost() -> None:
    report, alone = checked(beating()), checked(processed())
    assert report.is_clean
    assert report.heartbeats == 12
    assert alone.heartbeats == 0
    for name in ("records", "events", "slates", "dead_letters", "profiles_compared"):
        assert getattr(report, name) == getattr(alone, name) > 0


def test_heartbeats_that_were_answered_while_the_topics_were_read_are_left_out() -> None:
    it = beating()
    later = decode_slate(it.slates[beat_of(it, -1)])
    end = it.ends["events"]
    trigger = msgspec.structs.replace(later.trigger, offset=end)
    it.slates.append(
        encode_slate(msgspec.structs.replace(later, slate_id=f"events-0-{end}", trigger=trigger))
    )
    it.ends = {"events": end + 1}
    it.profiles[heartbeat_key(0)] = b"of later"
    assert checked(it).is_clean


def lose_a_heartbeats_slate(it: _Partition) -> None:
    del it.slates[beat_of(it, 3)]


def repeat_a_heartbeats_slate(it: _Partition) -> None:
    it.slates.append(it.slates[beat_of(it, 3)])


def invent_a_heartbeats_slate(it: _Partition) -> None:
    slate = decode_slate(it.slates[beat_of(it, 3)])
    it.slates.append(encode_slate(msgspec.structs.replace(slate, slate_id="events-0-1")))


def leave_heartbeats_before_a_shoppers_record(it: _Partition) -> None:
    last = it.inputs["events"][-1].offset
    it.inputs["events"].append(record(click("ann", "a"), last + 1))


def spoil_the_heartbeats_profile(it: _Partition) -> None:
    it.inputs["events"].pop()
    it.ends = {"events": it.inputs["events"][-1].offset + 1}
    it.profiles[heartbeat_key(0)] += b" "


@pytest.mark.parametrize(
    ("tamper", "said_of", "count"),
    [
        (lose_a_heartbeats_slate, "lost", 1),
        (repeat_a_heartbeats_slate, "duplicates", 1),
        (invent_a_heartbeats_slate, "duplicates", 1),
        (leave_heartbeats_before_a_shoppers_record, "lost", 2),
        (spoil_the_heartbeats_profile, "profiles_different", 1),
    ],
)
def test_heartbeats_are_held_to_the_same_promises(tamper: Any, said_of: str, count: int) -> None:
    it = beating()
    tamper(it)
    report = checked(it)
    assert not report.is_clean
    assert getattr(report, said_of) == count


# At least once ---------------------------------------------------------------------------------------
def with_a_wish(it: _Partition | None = None) -> _Partition:
    """The honest log, and at its end the wish to forget `u1`, obeyed."""
    partition = it or processed()
    wish = record({"type": "forget", "user_id": "u1"}, len(partition.inputs["events"]))
    result = work(0, {"events": [wish]}, DictStore(), ENGINE)
    partition.inputs["events"].append(wish)
    partition.cycles += [_Cycle(decode_delta(value), wish.timestamp) for _, value, _ in result.deltas]
    partition.tombstones.update(key for key, _, _ in result.slates)
    partition.profiles.pop(b"u1", None)
    return partition


def test_a_user_who_was_forgotten_has_no_profile_and_a_tombstone_among_the_slates() -> None:
    report = checked(with_a_wish())
    assert report.is_clean, report
    assert report.forgotten == 1


@pytest.mark.parametrize(
    ("tamper", "said_of"),
    [
        (lambda it: it.tombstones.clear(), "forgotten_different"),
        (lambda it: it.profiles.update({b"u1": b"back"}), "profiles_different"),
    ],
    ids=["no tombstone", "a profile"],
)
def test_a_user_who_was_not_forgotten_is_found(tamper, said_of: str) -> None:
    partition = with_a_wish()
    tamper(partition)
    assert getattr(checked(partition), said_of) == 1


def repeat_a_dead_letter(it: _Partition) -> None:
    it.dead_letters.update([next(iter(it.dead_letters))])


@pytest.mark.parametrize("repeat", [repeat_a_slate, repeat_a_reward, repeat_a_cycle, repeat_a_dead_letter])
def test_at_least_once_may_repeat_what_exactly_once_may_not(repeat) -> None:
    partition = processed()
    repeat(partition)
    assert not checked(partition).is_clean
    assert checked(partition, "at_least_once").is_clean


def test_a_slate_repeated_with_other_bytes_is_wrong_under_every_guarantee() -> None:
    partition = processed()
    repeat_a_slate(partition)
    report = checked(partition, "at_least_once")
    assert (report.repeated_identical, report.repeated_different) == (1, 0)
    other = msgspec.structs.replace(decode_slate(partition.slates[3]), items=())
    partition.slates.append(encode_slate(other))
    report = checked(partition, "at_least_once")
    assert (report.repeated_identical, report.repeated_different) == (1, 1)
    assert not report.is_clean


@pytest.mark.parametrize(
    "lose", [lose_a_slate, lose_a_cycle, lose_a_profile, spoil_a_profile, lose_a_reward, lose_a_dead_letter]
)
def test_at_least_once_loses_as_little_as_exactly_once(lose) -> None:
    partition = processed()
    lose(partition)
    assert not checked(partition, "at_least_once").is_clean


def test_the_longest_gap_counts_only_while_records_wait() -> None:
    partition = processed()
    cycles, log = partition.cycles, partition.inputs["events"]
    waited = cycles[0].time - log[0].timestamp
    assert checked(partition).longest_gap_seconds >= waited / 1000
    quiet = 3_600_000
    for each in log[3 * CYCLE :]:
        each.timestamp += quiet
    partition.cycles = [*cycles[:3], *(cycle._replace(time=cycle.time + quiet) for cycle in cycles[3:])]
    assert checked(partition).longest_gap_seconds < quiet / 1000
    came = max(log[(len(cycles) - 1) * CYCLE].timestamp, partition.cycles[-2].time)
    partition.cycles[-1] = partition.cycles[-1]._replace(time=came + 2 * quiet)
    assert checked(partition).longest_gap_seconds == 2 * quiet / 1000
