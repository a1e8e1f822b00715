"""The one way a numba kernel is declared here."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` in nopython mode, cached on disk and without the GIL.

    Cached, because a first compile of seconds must never happen inside a session timeout; without the
    GIL, so that a kernel may run in a thread beside the event loop.
    """
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
