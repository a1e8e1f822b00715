"""The two ways a numba kernel is declared here."""

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


def kernel_part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a part of kernels as `kernel` does, but without counting references to arrays.

    numba counts every array that a function is given up when it begins and down when it ends, those of a
    bundle one by one: in what is called for each item or query that took more time than the work itself. Here
    nothing is counted, for whoever calls a part holds its arrays. It may take views of them, but makes no
    array and returns none: numba refuses to compile that.
    """
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True, _nrt=False)(function))
