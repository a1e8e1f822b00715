"""Named places where a worker can be told to die, or to freeze, so that a test meets the exact moment.

Armed by `FRESHSLATE_FAULT_POINT`, as in `apply@3`: SIGKILL the third time the worker gets there; with `:stop`
behind it, SIGSTOP. Without the setting a point costs a comparison.
"""

import os
import re
import signal
from typing import Final, NamedTuple

POINTS: Final = {
    "assigned": "an assignment has come, nothing of it is open",
    "restore": "some of the changelog has been read into the local state",
    "snapshot": "a snapshot of the models is written, and not yet in its place",
    "offsets": "all data of a cycle is acknowledged, its offsets (at least once: its changelog) are not",
    "apply": "the cycle is committed, and not yet applied to the local state",
}
"""Every place, and what is true there."""

_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_SPEC: Final = re.compile(rf"({'|'.join(POINTS)})@([1-9]\d{{0,8}})(?::({'|'.join(_SIGNALS)}))?")


class FaultPoint(NamedTuple):
    """Where, when, and what then."""

    point: str
    visit: int
    """From 1."""
    signal: signal.Signals


class _Armed:
    """The process's one fault point."""

    fault: FaultPoint | None = None
    visits = 0


def parse_fault_point(text: str) -> FaultPoint:
    """Read `point@n`, `point@n:kill` or `point@n:stop`.

    Raises:
        ValueError: it is none of them; the message says what there is.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        message = (
            f"must be one of {', '.join(POINTS)}, then @ and a number from 1, as in apply@3 or apply@3:stop"
        )
        raise ValueError(message)
    point, visit, action = found.groups(default="kill")
    return FaultPoint(point, int(visit), _SIGNALS[action])


def arm(fault: FaultPoint | None) -> None:
    """Set this process's fault point; None disarms."""
    _Armed.fault, _Armed.visits = fault, 0


def reached(point: str) -> None:
    """Say that the process is at this point; it may not come back from here."""
    fault = _Armed.fault
    if fault is None or fault.point != point:
        return
    _Armed.visits += 1
    if _Armed.visits == fault.visit:
        os.kill(os.getpid(), fault.signal)
