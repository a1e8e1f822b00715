"""Situations of a worker, and what its probes say about each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stream.health import Facts, Stall, Verdict, healthy, ready

STARTING = Facts()
CATCHING_UP = Facts(models_left=1200)
JOINING = Facts(models_left=0)
RESTORING = Facts(
    models_left=0, assigned=frozenset({0, 1, 2, 3}), restored=frozenset({0, 1, 3}), restore_left=5
)
RUNNING = replace(RESTORING, restored=RESTORING.assigned, restore_left=None, lag_records=0)
BUSY = replace(RUNNING, lag_records=120)
SPARE = replace(RUNNING, assigned=frozenset(), restored=frozenset())
NO_BROKER = replace(
    RUNNING, lag_records=None, lag_problem="the broker does not answer: TimeoutError", stalled_seconds=900.0
)
FAILED = replace(RUNNING, failed=("replica: KeyError: 'x'",))


@pytest.mark.parametrize(
    ("facts", "reasons"),
    [
        (STARTING, ["models: not read yet", "not assigned by the group yet"]),
        (CATCHING_UP, ["models: 1,200 records to fold", "not assigned by the group yet"]),
        (replace(CATCHING_UP, models_left=1), ["models: 1 record to fold", "not assigned"]),
        (JOINING, ["partitions: not assigned by the group yet"]),
        (RESTORING, ["partitions: 3 of 4 restored: 5 records left"]),
        (replace(RESTORING, restore_left=None), ["partitions: 3 of 4 restored"]),
        (RUNNING, []),
        (BUSY, []),
        (SPARE, []),
        (NO_BROKER, []),
        (replace(BUSY, stalled_seconds=900.0), []),
        (FAILED, ["replica: KeyError"]),
    ],
)
def test_ready_is_models_and_partitions_up_to_date(facts, reasons):
    verdict = ready(facts)
    assert verdict.ok == (not reasons)
    assert len(verdict.reasons) == len(reasons)
    for said, expected in zip(verdict.reasons, reasons, strict=True):
        assert expected in said


@pytest.mark.parametrize(
    "facts",
    [STARTING, CATCHING_UP, JOINING, RESTORING, RUNNING, BUSY, SPARE],
    ids=["starting", "catching up", "joining", "restoring", "running", "busy", "spare"],
)
def test_a_worker_that_has_not_stalled_is_healthy(facts):
    assert healthy(replace(facts, stalled_seconds=59.9), stall_seconds=60) == Verdict(ok=True)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (
            BUSY,
            "stalled: 120 records of input are waiting, and nothing was committed or restored for 61 s",
        ),
        (JOINING, "stalled: the group has to assign partitions, and nothing was"),
        (replace(RUNNING, lag_records=None), "stalled: work is waiting, and nothing was"),
        (RESTORING, "stalled: partitions are to be restored (2), and nothing was"),
    ],
)
def test_work_that_waits_while_nothing_advances_is_unhealthy(facts, reason):
    verdict = healthy(replace(facts, stalled_seconds=61.0), stall_seconds=60)
    assert not verdict.ok
    assert verdict.reasons[0].startswith(reason)


@pytest.mark.parametrize("facts", [STARTING, CATCHING_UP, RUNNING, SPARE])
def test_where_nothing_waits_no_time_is_too_long(facts):
    assert healthy(replace(facts, stalled_seconds=1e6), stall_seconds=60).ok


def test_a_broker_that_is_away_is_told_but_is_no_reason_to_start_the_worker_again():
    verdict = healthy(NO_BROKER, stall_seconds=60)
    assert verdict.ok
    assert verdict.reasons == (
        "lag: not known, the broker does not answer: TimeoutError; no restart helps that",
    )


def test_a_part_that_has_failed_is_unhealthy_at_once():
    assert healthy(FAILED, stall_seconds=60) == Verdict(ok=False, reasons=("replica: KeyError: 'x'",))


# How long nothing has advanced ------------------------------------------------------------------------


UNKNOWN = replace(RUNNING, lag_records=None)


def walk(*looks):
    """Stalled seconds at each look: time, commits, and the worker's situation."""
    stall = Stall()
    return [stall.observe(now, facts, commits=commits) for now, commits, facts in looks]


@pytest.mark.parametrize("facts", [BUSY, JOINING, RESTORING], ids=["busy", "joining", "restoring"])
def test_time_without_a_commit_counts_from_when_work_was_first_seen_waiting(facts):
    assert walk((0, 1, facts), (10, 1, facts), (70, 1, facts)) == [0, 10, 70]


def test_a_commit_begins_it_anew():
    assert walk((0, 1, BUSY), (50, 1, BUSY), (55, 2, BUSY), (60, 2, BUSY)) == [0, 50, 0, 5]


@pytest.mark.parametrize("facts", [RUNNING, SPARE], ids=["running", "spare"])
def test_an_idle_hour_is_no_stall_for_the_record_that_comes_after_it(facts):
    assert walk((0, 7, facts), (3600, 7, facts), (3605, 7, BUSY), (3610, 7, BUSY)) == [0, 0, 0, 5]


@pytest.mark.parametrize(
    "facts", [NO_BROKER, STARTING, CATCHING_UP], ids=["no broker", "starting", "catching up"]
)
def test_who_could_do_nothing_gets_the_whole_time_afterwards(facts):
    looks = [(0, 7, BUSY), (50, 7, BUSY), (60, 7, facts), (900, 7, BUSY), (905, 7, BUSY)]
    assert walk(*looks) == [0, 50, 0, 0, 5]


def test_not_to_know_for_a_moment_whether_work_waits_neither_begins_nor_ends_a_stall():
    assert walk((0, 7, UNKNOWN), (5, 7, UNKNOWN)) == [0, 0]
    assert walk((0, 7, BUSY), (5, 7, UNKNOWN), (9, 7, BUSY)) == [0, 5, 9]
    assert walk((0, 7, BUSY), (5, 8, UNKNOWN), (9, 8, BUSY)) == [0, 0, 4]


def test_a_long_restore_takes_its_time_as_long_as_it_advances():
    looks = [(60 * n, 7, replace(RESTORING, restore_left=1000 - n)) for n in range(20)]
    assert walk(*looks) == [0] * 20
    stuck = replace(RESTORING, restore_left=981)
    assert walk(*looks, (1200, 7, stuck), (1260, 7, stuck))[-2:] == [60, 120]


def test_small_restores_again_and_again_do_not_hide_that_nothing_is_committed():
    """What refused transactions look like: an assignment, a short restore, a refusal."""
    loop = [replace(RESTORING, restore_left=4), replace(RESTORING, restore_left=0), UNKNOWN, JOINING]
    looks = [(n, 7, loop[n % 4]) for n in range(41)]
    assert walk(*looks)[-1] == 30  # one second of each four is a restore that advances


SITUATIONS = st.sampled_from([STARTING, JOINING, RESTORING, RUNNING, BUSY, SPARE, NO_BROKER, UNKNOWN])


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans(), SITUATIONS), min_size=1, max_size=30))
def test_a_stall_is_the_time_since_work_was_first_seen_waiting_after_the_last_good_moment(steps):
    stall, now, commits, began = Stall(), 0, 0, None
    for pause, is_committed, facts in steps:
        now += pause
        commits += is_committed
        stalled = stall.observe(now, facts, commits=commits)
        if facts in (STARTING, RUNNING, SPARE, NO_BROKER):
            began = None
        elif is_committed:
            began = None if began is None else now
        if began is None and facts in (JOINING, RESTORING, BUSY):
            began = now
        assert stalled == (0 if began is None else now - began)
