"""All arrays of the models in one object that a kernel takes as cheaply as one array.

numba unpacks a NamedTuple at every call, field by field: 24 us for what a slate needs, most of its cost. A
`structref` is unpacked once, here.
"""

from typing import TYPE_CHECKING, NamedTuple

from state.kernel import kernel
from state.retrieval.content import Content
from state.retrieval.hour import Hours
from state.retrieval.popularity import Popularity
from state.retrieval.rules import Rules
from state.retrieval.sessions import SessionIndex
from state.retrieval.weights import Scratch, Weights

if TYPE_CHECKING:

    class Box(NamedTuple):
        """What kernels see."""

        sessions: SessionIndex
        rules: Rules
        popularity: Popularity
        hours: Hours
        content: Content
        weights: Weights
        scratch: Scratch

else:
    from numba.core import types
    from numba.experimental import structref

    @structref.register
    class _BoxType(types.StructRef):
        def preprocess_fields(self, fields):
            return tuple((name, types.unliteral(kind)) for name, kind in fields)

    class Box(structref.StructRefProxy):
        """What Python sees: an opaque handle on the arrays, which it keeps alive."""

    structref.define_proxy(
        Box, _BoxType, ["sessions", "rules", "popularity", "hours", "content", "weights", "scratch"]
    )


@kernel
def pack(
    sessions: SessionIndex,
    rules: Rules,
    popularity: Popularity,
    hours: Hours,
    content: Content,
    weights: Weights,
    scratch: Scratch,
) -> Box:
    """Box these arrays; to be done again after one of them was replaced by a larger one."""
    return Box(sessions, rules, popularity, hours, content, weights, scratch)
