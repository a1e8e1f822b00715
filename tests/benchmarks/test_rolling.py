"""The roll over older code: what it says of a run, and how it replaces processes; no Kafka, no history."""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from benchmarks import version_side
from benchmarks.old_code import Code, ask, git, paired, today
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.rolling import HEADER, Roll, Way, arguments, line, remarks, replaced
from benchmarks.rolling_crew import Crew, troubles
from state.profile import Profile
from stream.audit import Differences
from stream.audit import Report as Audit
from stream.codecs import decode_profile, encode_profile

WORKER = (
    "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('opened partitions', flush=True); "
    "signal.pause()"
)
BROKEN = "print('[ERROR] cannot read 7'); raise SystemExit(4)"


class Played(Code):
    """A version whose worker is a line of Python, which `name` is."""

    @property
    def worker(self) -> list[str]:
        return [sys.executable, "-S", "-c", self.name]


class Shoppers:
    """A load that sends nothing."""

    async def run(self) -> None:
        await asyncio.sleep(600)

    async def finish(self) -> None:
        self.finished = True


def played(program: str) -> Played:
    return Played(program, "", ROOT, frozenset({"broker", "data_dir", "instance_id"}))


async def roll(folder: Path, first: str, second: str) -> tuple[Way, Crew]:
    """Two workers of one program, replaced by two of another."""
    crew = Crew({"broker": "127.0.0.1:1", "of_tomorrow": 1}, folder, 2)
    try:
        for place in crew.places:
            place.start(played(first))
        await crew.opened()
        way = await replaced(crew, Shoppers(), Way("forward"), played(second), 0)  # type: ignore[arg-type]
        way.trouble = crew.trouble()
    finally:
        crew.stop()
    return way, crew


def test_each_worker_is_asked_to_end_and_the_other_version_takes_its_place(tmp_path: Path) -> None:
    way, crew = asyncio.run(roll(tmp_path, WORKER, WORKER + " # new"))
    assert way.exit_codes == [0, 0]
    assert not way.refused
    assert [[name for name, _ in place.logs] for place in crew.places] == [[WORKER, WORKER + " # new"]] * 2


def test_a_version_that_refuses_to_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    way, _ = asyncio.run(roll(tmp_path, WORKER, BROKEN))
    assert way.exit_codes == [0]
    assert "exit code 4" in way.refused
    assert "cannot read 7" in way.refused
    assert way.trouble[BROKEN] == {"cannot read #": 1}
    assert line(Roll("abc", "2026-11-22", [], [], []), way)[-1] == "0 refused"


def test_a_version_gets_only_the_settings_that_it_knows(tmp_path: Path) -> None:
    settings = played(WORKER).settings({"broker": "b:1", "canary_seconds": 1.0, "data_dir": tmp_path})
    assert settings.model_fields_set == {"broker", "data_dir"}


def test_the_table_has_what_the_old_version_sees_and_the_remarks_name_the_fields() -> None:
    audit = Audit(records=9, profiles_compared=5, profiles_different=3, rewards=2, rewards_different=1)
    seen: dict[str, dict[str, int]] = {"profiles": {"": 2, "seen": 1}, "rewards": {"missing": 1}}
    way = Way("forward", [0, 0], 5.2, audit=audit, seen_by_old=seen, trouble={"abc": {"late": 4}})
    done = Roll("abc", "2026-11-22T22:42:58+00:00", ["canary_seconds"], ["no rankers"], [], [way])
    row = line(done, way)
    assert len(row) == len(HEADER)
    assert row == ["abc 2026-11-22", "forward", "5", "9", "0", "0", "5", "3", "1", "2", "1", "1", "0 0"]
    assert remarks(done) == [
        "abc: settings kept from the old version: canary_seconds",
        "abc: topics check said: no rankers",
        "abc forward: 1 profiles differ to it in seen",
        "abc forward: 1 rewards differ to it in missing",
        "abc: abc logged 4 times: late",
    ]


def test_a_log_gives_its_warnings_and_errors_with_digits_made_equal() -> None:
    log = "[1] [INFO] ok\n[2] [WARNING] lag 3.5 s\nKeyError: 'x'\n[4] [ERROR] gone 17"
    assert troubles(log) == ["lag # s", "KeyError: 'x'", "gone #"]


def test_differences_are_counted_by_the_fields_in_which_a_version_sees_them() -> None:
    one = Profile(last_time=1)
    pairs = [
        (encode_profile(one), encode_profile(replace(one, last_time=2, session_start=1))),
        (encode_profile(one), encode_profile(one)),
        (encode_profile(one), None),
        (None, encode_profile(one)),
    ]
    counts = version_side.differing(pairs, decode_profile)
    assert counts == {"session_start last_time": 1, "": 1, "missing": 1, "too many": 1}


def test_rewards_of_one_id_are_paired_and_the_others_stand_alone() -> None:
    def reward(name: str, value: int) -> bytes:
        return msgspec.json.encode({"reward_id": name, "reward": value})

    missing, excess = Counter([reward("1", 1), reward("2", 1)]), Counter([reward("1", 2), reward("3", 1)])
    assert paired(Differences(rewards=[(missing, excess)])) == [
        (reward("1", 1), reward("1", 2)),
        (reward("2", 1), None),
        (None, reward("3", 1)),
    ]


def test_a_version_answers_from_its_own_code() -> None:
    one, other = encode_profile(Profile()), encode_profile(Profile(last_time=2))
    answer = today().sees(Differences(profiles=[(one, other)]))
    assert answer == {"profiles": {"last_time": 1}, "rewards": {}}


def test_what_cannot_be_asked_says_why() -> None:
    with pytest.raises(BenchmarkError, match="does not answer 'weather'"):
        ask(ROOT, "weather")
    with pytest.raises(BenchmarkError, match="git show"):
        git("show", "no-such-commit-here")


def test_older_commits_may_be_given_repeatedly_and_one_is_needed(capsys: Any) -> None:
    assert arguments(["--old", "a", "--old", "b"]).old == ["a", "b"]
    with pytest.raises(SystemExit):
        arguments([])
    assert "--old" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        arguments(["--help"])
    assert "Example: python -m benchmarks.rolling --old" in capsys.readouterr().out
