"""A folder that one process has to itself, for as long as it lives.

Not filelock, as for a worker's folder (`stream/own_folder.py`): its release unlocks for the child too, and
here the child has to keep the lock.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


class ClaimedError(Exception):
    """Somebody else has the folder."""


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Claim a folder; the file descriptor it gives holds the claim.

    A child that inherits the descriptor keeps the claim after this block, until it ends, whatever ends it.

    Raises:
        ClaimedError: It is claimed already.
    """
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{folder} is in use"
            raise ClaimedError(message) from None
        yield file.fileno()
