"""The step of this tree beside that of another, and whether both write the same bytes: no broker.

    git worktree add ../before main
    python -m benchmarks.step --against ../before

A process for each tree, on one core and with the same events, block by block in turns, so that whatever
else the machine does meets both alike. Times are CPU time of the thread; ratios are of blocks side by side.
Without `--against` there is one process and no ratio.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import structs

from benchmarks.inputs import DATA, Input, deltas_of, inputs
from benchmarks.stages import TOPIC, Bench, records
from state.event import Event
from state.posterior.posterior import Posterior
from stream.codecs import decode_reward
from stream.config import Settings
from stream.measures import Cycle, measure
from stream.work import Record, Result, work
from stream.worker import calm_collector, warm
from stream.worker_metrics import WorkerMetrics

NAMES: Final = ("sessions", "taobao")
PARTS: Final = ("work", "apply", "learn", "measure")
"""Decode, step and encode; the local copy; models and posterior; metrics."""
RUN: Final = 200
"""Events of one partition in one cycle, under load."""
LATEST: Final = 1_764_000_000_000
"""Time of the latest event, so that each process, whenever it runs, has the same."""

Block: TypeAlias = dict[str, float]
"""Microseconds an event, by part."""


def main() -> None:
    options = arguments(sys.argv[1:])
    if options.serve:
        serve(options)
        return
    trees = [Path(__file__).parents[1], *([options.against] if options.against else [])]
    for name in options.inputs:
        blocks, written = side_by_side(trees, name, options)
        print("\n".join([name, *table(blocks), *([same(written)] if options.against else [])]), flush=True)


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="root of another checkout")
    parser.add_argument("--inputs", nargs="+", choices=NAMES, default=list(NAMES), help="streams")
    parser.add_argument("--blocks", type=int, default=40, help="of events (default %(default)s)")
    parser.add_argument("--events", type=int, default=1000, help="of a block (default %(default)s)")
    parser.add_argument("--warm-up", type=int, default=16_000, help="events before (default %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the streams (default %(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(given)


# Two processes in turns --------------------------------------------------------------------------------


def side_by_side(
    trees: Sequence[Path], name: str, options: argparse.Namespace
) -> tuple[list[list[Block]], list[str]]:
    """Blocks of each tree, and a digest of all that it wrote."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sides = [_start(tree, name, options) for tree in trees]
    blocks: list[list[Block]] = [[] for _ in sides]
    for side in sides:
        _line(side)
    for number in range(options.blocks):
        turns = range(len(sides)) if number % 2 else reversed(range(len(sides)))
        for turn in turns:
            _tell(sides[turn])
            blocks[turn].append(msgspec.json.decode(_line(sides[turn]), type=Block))
    written = [_line(side).strip() for side in sides]
    for side in sides:
        side.wait()
    return blocks, written


def _start(tree: Path, name: str, options: argparse.Namespace) -> "subprocess.Popen[str]":
    """This very file, with everything that it imports from that tree."""
    numbers = {"blocks": options.blocks, "events": options.events, "warm-up": options.warm_up}
    shape = [f"--{each}={value}" for each, value in numbers.items()]
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            __file__,
            "--serve",
            "--inputs",
            name,
            f"--data={options.data.resolve()}",
            *shape,
        ],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree.resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _tell(side: "subprocess.Popen[str]") -> None:
    assert side.stdin is not None
    side.stdin.write("\n")
    side.stdin.flush()


def _line(side: "subprocess.Popen[str]") -> str:
    assert side.stdout is not None
    line = side.stdout.readline()
    if not line:
        sys.exit(f"benchmarks: a process ended with {side.wait()}")
    return line


def table(blocks: Sequence[Sequence[Block]]) -> list[str]:
    """A line for each part, and one for all of them; the first tree is beside the second, if there is one."""
    lines = []
    for part in (*PARTS, "all"):
        columns = [[sum(block.values()) if part == "all" else block[part] for block in its] for its in blocks]
        line = f"  {part:<8}" + " ".join(f"{median(its):7.1f} (least {min(its):5.1f})" for its in columns)
        if len(columns) == 2:
            ratios = [here / there for here, there in zip(*columns, strict=True)]
            line += f"  ratio {median(ratios):.3f}"
        lines.append(line)
    return lines


def same(written: Sequence[str]) -> str:
    """Whether the trees wrote the same."""
    return "  the same bytes" if len(set(written)) == 1 else "  OTHER BYTES ARE WRITTEN"


# One process -------------------------------------------------------------------------------------------


def serve(options: argparse.Namespace) -> None:
    """Process a block for each line that comes; say what it took, and at the end the digest."""
    shape = {"events": options.events, "warm_up": options.warm_up, "rounds": options.blocks}
    settings = Settings()
    warm(settings)
    with TemporaryDirectory() as folder:
        side = Side(settings, Path(folder))
        given = _at_fixed_times(next(inputs(options.data, options.inputs, **shape)))
        side.models.learn(deltas_of(given.history))
        side.run(records(given.warm_up, 0))
        calm_collector()
        print("ready", flush=True)
        for number, events in enumerate(given.rounds):
            block = records(events, options.warm_up + number * options.events)
            sys.stdin.readline()
            side.spent = dict.fromkeys(PARTS, 0.0)
            side.run(block)
            spent: Mapping[str, float] = {part: 1e6 * its / len(block) for part, its in side.spent.items()}
            print(msgspec.json.encode(spent).decode(), flush=True)
        print(side.written.hexdigest(), flush=True)
        side.store.close()


class Side(Bench):
    """One tree's partition: what a worker does for it, in one process."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        self.posterior = Posterior()
        self.metrics = WorkerMetrics()
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.written = hashlib.blake2b(digest_size=16)

    def run(self, given: Sequence[Record]) -> None:
        """Process, apply, learn and count, run by run."""
        for at in range(0, len(given), RUN):
            self._run(given[at : at + RUN])

    def _run(self, run: Sequence[Record]) -> None:
        clock, last = time.thread_time, run[-1].timestamp
        times = [clock()]
        result = work(0, {TOPIC: run}, self.store, self.engine, clock=time.perf_counter)
        times.append(clock())
        self.position += len(result.changelog)
        self.store.apply(result.changelog, result.markers, self.position)
        times.append(clock())
        self._learn(result, last)
        times.append(clock())
        measure(self.metrics, Cycle(len(run), [result], [0.0], 0.1, 0.1, 0.1, {}, last / 1000))
        times.append(clock())
        for part, start, end in zip(PARTS, times, times[1:], strict=False):
            self.spent[part] += end - start
        for rows in (result.changelog, result.slates, result.rewards, result.deltas, result.dead_letters):
            self.written.update(msgspec.msgpack.encode([row[:2] for row in rows]))

    def _learn(self, result: Result, now: int) -> None:
        deltas = [self.decode_delta(value or b"") for _, value, _ in result.deltas]
        self.models.learn(deltas)
        self.posterior.learn(deltas, [now] * len(deltas))
        rewards = [decode_reward(value or b"") for _, value, _ in result.rewards]
        if rewards:
            self.posterior.reward(rewards, [now] * len(rewards))


def _at_fixed_times(given: Input) -> Input:
    """The events with the latest at `LATEST`."""
    offset = LATEST - given.rounds[-1][-1].time

    def moved(events: Sequence[Event]) -> list[Any]:
        return [structs.replace(event, time=event.time + offset) for event in events]

    return given._replace(
        history=moved(given.history),
        warm_up=moved(given.warm_up),
        rounds=[moved(each) for each in given.rounds],
    )


if __name__ == "__main__":
    main()
