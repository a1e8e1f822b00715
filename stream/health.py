"""Whether a worker is alive and ready, and why not: decided from facts, without any I/O.

Alive: what it has to do gets done, at whatever pace. A worker that starts is alive, however long that takes;
so is one whose broker is away, since to start it again would not bring the broker back. Ready: its models and
its partitions are up to date.
"""

from msgspec import Struct


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a worker at one moment.

    Args:
        failed: parts that have ended, with their errors.
        models_left: records of the models' topics still to fold; 0 once they have caught up, None before it
            is known how many there are.
        assigned: partitions that the group gave the worker; None while it has no assignment.
        restored: the ones among them whose state is up to date.
        restore_left: changelog records still to read; None: not known yet.
        lag_records: input records waiting in the assigned partitions; None: not known of all of them.
        lag_problem: why it is not known, if the broker was asked.
        stalled_seconds: how long work has been waiting while nothing advanced.
    """

    failed: tuple[str, ...] = ()
    models_left: int | None = None
    assigned: frozenset[int] | None = None
    restored: frozenset[int] = frozenset()
    restore_left: int | None = None
    lag_records: int | None = None
    lag_problem: str = ""
    stalled_seconds: float = 0.0

    @property
    def waits(self) -> str:
        """What work is waiting; empty for none that is known of."""
        if self.is_excused:
            return ""
        if self.assigned is None:
            return "the group has to assign partitions"
        if closed := sorted(self.assigned - self.restored):
            return f"partitions are to be restored ({', '.join(map(str, closed))})"
        if self.lag_records:
            return f"{_records(self.lag_records)} of input are waiting"
        return ""

    @property
    def is_excused(self) -> bool:
        """Whether nothing can be asked of the worker: it starts, or the broker is away."""
        return self.models_left != 0 or bool(self.lag_problem)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.waits and self.lag_records == 0


class Verdict(Struct, frozen=True):
    """Yes or no, and what there is to say about it."""

    ok: bool
    reasons: tuple[str, ...] = ()
    """Why not; where `ok`, what an operator should know nevertheless."""


def healthy(facts: Facts, *, stall_seconds: float) -> Verdict:
    """Whether the worker does its work; if not, it should be started again."""
    reasons = list(facts.failed)
    if facts.stalled_seconds >= stall_seconds and not (facts.is_idle or facts.is_excused):
        waits = facts.waits or "work is waiting"
        reasons.append(
            f"stalled: {waits}, and nothing was committed or restored for {facts.stalled_seconds:.0f} s"
        )
    if reasons:
        return Verdict(ok=False, reasons=tuple(reasons))
    if facts.lag_problem:
        return Verdict(
            ok=True,
            reasons=(f"lag: not known, {facts.lag_problem}; no restart helps that",),
        )
    return Verdict(ok=True)


def ready(facts: Facts) -> Verdict:
    """Whether the worker answers every event that is its own from the latest state."""
    reasons = list(facts.failed)
    if facts.models_left is None:
        reasons.append("models: not read yet; the topics are checked and the kernels compiled before")
    elif facts.models_left:
        reasons.append(f"models: {_records(facts.models_left)} to fold")
    if facts.assigned is None:
        reasons.append("partitions: not assigned by the group yet")
    elif facts.assigned - facts.restored:
        done = len(facts.assigned & facts.restored)
        left = f": {_records(facts.restore_left)} left" if facts.restore_left else ""
        reasons.append(f"partitions: {done} of {len(facts.assigned)} restored{left}")
    return Verdict(ok=not reasons, reasons=tuple(reasons))


class Stall:
    """Measures how long work has been waiting while nothing advances.

    A commit begins it anew; so does idle time, and time in which nothing can be asked of the worker. What a
    restore takes is left out as long as it advances, but its end is no new beginning: a worker whose
    transactions are refused gets its partitions again and again, restores a little each time, and commits
    nothing. Nor is a moment in which it is not known whether work waits, as after a partition was opened.
    """

    def __init__(self) -> None:
        self._looked = 0.0
        self._waits = False
        self._commits = 0
        self._restore_left: int | None = None
        self._seconds = 0.0

    def observe(self, now: float, facts: Facts, *, commits: int) -> float:
        """Look at the worker.

        Args:
            now: seconds, of a clock that never runs backwards.
            facts: as they are now.
            commits: cycles committed since the start.

        Returns:
            Seconds in which work waited and nothing advanced, as far as was observed.
        """
        rests = facts.is_idle or facts.is_excused
        if rests or commits != self._commits:
            self._seconds = 0.0
        elif self._waits and not self._restores(facts.restore_left):
            self._seconds += now - self._looked
        self._waits = not rests and (self._waits or bool(facts.waits))
        self._looked, self._commits, self._restore_left = now, commits, facts.restore_left
        return self._seconds

    def _restores(self, left: int | None) -> bool:
        return left is not None and self._restore_left is not None and left < self._restore_left


def _records(count: int) -> str:
    return f"{count:,} record" + ("" if count == 1 else "s")
