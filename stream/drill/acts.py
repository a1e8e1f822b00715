"""Every fault of the drill: what is done, to whom, and what the worker must say or do then."""

import asyncio
import random
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from msgspec import Struct

from stream.config import Settings
from stream.crew import Member
from stream.drill import disk
from stream.drill.flow import Flow
from stream.drill.kafka import Kafka
from stream.drill.load import Load
from stream.drill.team import OPENED, NotAsPromised, Team, is_frozen, last_line
from stream.proxy import Proxy

BROKER_FREEZE_SECONDS: Final = 20.0
BROKER_AWAY_SECONDS: Final = 3.0
PHASE_SECONDS: Final = 5.0
"""How long an input fault, a slow line or a smaller team lasts."""
REFUSED_SECONDS: Final = 3.0
"""How long nobody gets through the proxy after a cut."""
SLOW_SECONDS: Final = 0.15
"""What bytes take through the slow line, each way."""
ZOMBIE_SECONDS: Final = 3.0
"""How long a worker stays frozen beyond the session timeout."""
START_SECONDS: Final = 60.0
"""How long a worker may take from its start to a moment that is waited for."""
FLOOD_RECORDS: Final = 400
"""Per partition; together with the load, most of `FRESHSLATE_DEAD_LETTER_WINDOW`."""


class Stage(Struct, kw_only=True):
    """Everything that a fault can be done to."""

    settings: Settings
    team: Team
    kafka: Kafka
    proxy: Proxy
    load: Load
    flow: Flow
    draw: random.Random

    def anyone(self) -> Member:
        """A worker that runs."""
        return self.draw.choice(self.team.running)


class Fault(NamedTuple):
    """One fault, by the name that `--faults` takes."""

    act: Callable[[Stage], Awaitable[str]]
    """Does it, and says in a few words what was done and to whom."""
    about: str
    needs_fencing: bool = False
    """Whether only exactly_once promises anything: without transactions nobody stops a zombie."""


async def _kill(stage: Stage) -> str:
    member = stage.anyone()
    pid = member.child.pid
    await stage.team.kill(member)
    await stage.team.start(member)
    return f"kill -9 {pid}, {member.name}"


async def _kill_all(stage: Stage) -> str:
    members = stage.team.running
    await stage.team.kill(*members)
    for member in members:
        await stage.team.start(member)
    return f"kill -9 of all {len(members)} workers at once"


async def _terminate(stage: Stage) -> str:
    member = stage.anyone()
    await stage.team.terminate(member)
    await stage.team.start(member)
    return f"SIGTERM to {member.name}, which ended with 0"


async def _zombie(stage: Stage) -> str:
    member = stage.anyone()
    seconds = stage.settings.session_timeout_seconds + ZOMBIE_SECONDS
    member.child.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    member.child.signal(signal.SIGCONT)
    return f"SIGSTOP of {member.name} for {seconds:.0f} s, then SIGCONT"


async def _scale(stage: Stage) -> str:
    team = stage.team
    count = len(team.running)
    first, *others = team.running
    await team.terminate(*others)
    await asyncio.sleep(PHASE_SECONDS)
    while len(team.members) < 3:
        others.append(team.add())
    for member in others:
        if member not in team.running:
            await team.start(member)
    await _serves(stage)
    await team.terminate(*others)
    await asyncio.sleep(PHASE_SECONDS)
    for member in others[: count - 1]:
        await team.start(member)
    return f"from {count} workers to 1 ({first.name}), to {1 + len(others)}, to 1, to {count}"


async def _broker_kill(stage: Stage) -> str:
    await stage.kafka.kill()
    await asyncio.sleep(BROKER_AWAY_SECONDS)
    await stage.kafka.start()
    return f"kill -9 of the broker, started again {BROKER_AWAY_SECONDS:.0f} s later"


async def _broker_freeze(stage: Stage) -> str:
    stage.kafka.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(BROKER_FREEZE_SECONDS)
    finally:
        stage.kafka.signal(signal.SIGCONT)
    return f"SIGSTOP of the broker for {BROKER_FREEZE_SECONDS:.0f} s"


async def _cut(stage: Stage) -> str:
    stage.proxy.is_refusing = True
    count = stage.proxy.cut()
    await asyncio.sleep(REFUSED_SECONDS)
    stage.proxy.is_refusing = False
    return f"cut all {count} connections of workers to the broker, refused for {REFUSED_SECONDS:.0f} s"


async def _slow(stage: Stage) -> str:
    stage.proxy.delay_seconds = SLOW_SECONDS
    await asyncio.sleep(PHASE_SECONDS)
    count = stage.proxy.cut()
    stage.proxy.delay_seconds = 0.0
    ms = SLOW_SECONDS * 1000
    return f"{ms:.0f} ms each way to the broker for {PHASE_SECONDS:.0f} s, then cut {count} connections"


def dies(point: str, visit: int = 1) -> Callable[[Stage], Awaitable[str]]:
    """The fault of a worker that is killed at a fault point, on its way up or after so many visits."""

    async def act(stage: Stage) -> str:
        member = stage.anyone()
        await stage.team.kill(member)
        if point == "restore":
            # An empty disk: there is something to restore.
            shutil.rmtree(stage.team.folder(member))
        await stage.team.start(member, fault_point=f"{point}@{visit}")
        await _died(stage, member)
        await stage.team.start(member)
        return f"{member.name} killed at its fault point {point}@{visit}"

    return act


async def _freezes_committing(stage: Stage) -> str:
    member = stage.anyone()
    await stage.team.kill(member)
    await stage.team.start(member, fault_point="offsets@20:stop")
    for _ in range(int(START_SECONDS * 10)):
        if is_frozen(member.child.pid):
            break
        await asyncio.sleep(0.1)
    else:
        message = f"{member.name} never got to its fault point: {last_line(member)}"
        raise NotAsPromised(message)
    seconds = stage.settings.session_timeout_seconds + ZOMBIE_SECONDS
    await asyncio.sleep(seconds)
    member.child.signal(signal.SIGCONT)
    await stage.team.says(member, "assignment ended")
    return f"{member.name} frozen for {seconds:.0f} s between its data and their offsets, then refused"


async def _wipe(stage: Stage) -> str:
    member = stage.anyone()
    await stage.team.kill(member)
    shutil.rmtree(stage.team.folder(member))
    await stage.team.start(member)
    return f"kill -9 of {member.name}, its data folder removed"


async def _older_copy(stage: Stage) -> str:
    member, team = stage.anyone(), stage.team
    folder = team.folder(member)
    copy = folder.with_name("older")
    await team.terminate(member)
    shutil.copytree(folder, copy)
    await team.start(member)
    await team.says(member, OPENED, START_SECONDS)
    await asyncio.sleep(PHASE_SECONDS)
    await team.kill(member)
    shutil.rmtree(folder)
    copy.rename(folder)
    await team.start(member)
    return f"kill -9 of {member.name}, its data folder put back from a copy over {PHASE_SECONDS:.0f} s older"


async def _corrupt(stage: Stage) -> str:
    team = stage.team
    members = team.running
    # An orderly end, which brings everything to the disk.
    await team.terminate(*members)
    done = {member.name: disk.damage(team.folder(member), stage.draw) for member in members}
    for member in members:
        await team.start(member)
    if not await team.any_says(members, "rebuilt from the changelog", START_SECONDS):
        # The drill goes on: with empty disks.
        await team.kill(*members)
        for member in members:
            shutil.rmtree(team.folder(member))
            await team.start(member)
        message = f"no worker says that it found the damage: {done}"
        raise NotAsPromised(message)
    return "RocksDB damaged: " + "; ".join(f"{name} {what}" for name, what in done.items())


async def _disk_full(stage: Stage) -> str:
    member, team = stage.anyone(), stage.team
    await team.kill(member)
    await team.start(member)
    await team.says(member, OPENED, START_SECONDS)
    limit = disk.fill(member.child.pid, log=member.child.log_file)
    code = await team.ended(member, START_SECONDS)
    last = last_line(member)
    await team.start(member)
    if not code or not last.startswith("freshslate: "):
        message = f"{member.name} ended with exit code {code} on a full disk and said: {last}"
        raise NotAsPromised(message)
    return f"{member.name} may write no file beyond {limit >> 10} KiB: exit code {code}, {last[:80]!r}"


async def _garbage(stage: Stage) -> str:
    team, load = stage.team, stage.load
    members = team.running
    # Nobody is started again meanwhile: who stops because of the flood must stay stopped.
    flooding = asyncio.create_task(load.flood(FLOOD_RECORDS))
    ends = await asyncio.gather(*(team.ended(member, START_SECONDS) for member in members))
    count = await flooding
    for member, code in zip(members, ends, strict=True):
        if not code or "are invalid, so the worker stops" not in last_line(member):
            message = f"{member.name} ended with exit code {code} in a flood: {last_line(member)}"
            raise NotAsPromised(message)
    for member in members:
        await team.start(member, dead_letter_share=1.0)
    await _serves(stage)
    await team.terminate(*members)
    for member in members:
        await team.start(member)
    return f"{count} records that are no events: all workers stopped, and served once they were let through"


async def _hot_user(stage: Stage) -> str:
    before = stage.load.hot
    stage.load.is_hot = True
    await asyncio.sleep(PHASE_SECONDS)
    stage.load.is_hot = False
    return f"one user with half of the traffic for {PHASE_SECONDS:.0f} s: {stage.load.hot - before} events"


async def _retries(stage: Stage) -> str:
    before = stage.load.retried
    stage.load.retries = True
    await asyncio.sleep(PHASE_SECONDS)
    stage.load.retries = False
    return f"a producer that sends again: {stage.load.retried - before} events twice"


async def _serves(stage: Stage) -> None:
    """Wait until all workers hold partitions, and slates flow for all of these."""
    await stage.team.ready()
    if await stage.flow.flows(dict(stage.load.ends), START_SECONDS) is None:
        message = f"no slates for {START_SECONDS:.0f} s"
        raise NotAsPromised(message)


async def _died(stage: Stage, member: Member) -> None:
    code = await stage.team.ended(member, START_SECONDS)
    if code != 256 - signal.SIGKILL:
        message = f"{member.name} ended with exit code {code} before its fault point: {last_line(member)}"
        raise NotAsPromised(message)


FAULTS: Final = {
    "kill": Fault(_kill, "SIGKILL of a worker"),
    "kill_all": Fault(_kill_all, "SIGKILL of all workers at once"),
    "terminate": Fault(_terminate, "SIGTERM of a worker, and a new one"),
    "zombie": Fault(_zombie, "a worker frozen past the session timeout, then awake", needs_fencing=True),
    "scale": Fault(_scale, "to 1 worker, to 3, to 1"),
    "die_assigned": Fault(dies("assigned"), "SIGKILL during the first assignment"),
    "die_restoring": Fault(dies("restore"), "SIGKILL during a restore"),
    "die_snapshot": Fault(dies("snapshot"), "SIGKILL while a snapshot is written"),
    "die_committing": Fault(dies("offsets", 20), "SIGKILL between the data and their offsets"),
    "die_applying": Fault(dies("apply", 20), "SIGKILL between commit and local state"),
    "freeze_committing": Fault(
        _freezes_committing, "a worker frozen between the data and their offsets", needs_fencing=True
    ),
    "broker_kill": Fault(_broker_kill, "SIGKILL of the broker, and its restart"),
    "broker_freeze": Fault(_broker_freeze, "the broker frozen for 20 s"),
    "cut": Fault(_cut, "all connections to the broker cut"),
    "slow": Fault(_slow, "a slow line to the broker, then cut"),
    "wipe": Fault(_wipe, "the local disk wiped"),
    "older_copy": Fault(_older_copy, "the local disk put back from an older copy"),
    "corrupt": Fault(_corrupt, "files of RocksDB damaged"),
    "disk_full": Fault(_disk_full, "no room on the local disk"),
    "garbage": Fault(_garbage, "a flood of records that are no events"),
    "hot_user": Fault(_hot_user, "one user with half of the traffic"),
    "retries": Fault(_retries, "a producer that sends events again"),
}
"""By name."""
