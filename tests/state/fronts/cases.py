"""Golden requests and what becomes of them, and how they are damaged."""

import copy
import json
from pathlib import Path

from hypothesis import strategies as st

from state.fronts.front import LeftOut

FOLDER = Path(__file__).parent / "golden"


def golden(name):
    """What `golden/NAME.json` holds: where its shape is from, requests, and what they become."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def named(cases):
    """Cases as parameters, each with its name for an id."""
    return {"argvalues": cases, "ids": [case["name"] for case in cases]}


def parted(translated):
    """Events, and place and reason of what was left out."""
    events = [each for each in translated if not isinstance(each, LeftOut)]
    out = [{"index": each.index, "reason": each.reason} for each in translated if isinstance(each, LeftOut)]
    return events, out


def only(translated):
    """The one event of a translation, or the reason why it is none."""
    (found,) = translated
    return found.reason if isinstance(found, LeftOut) else found


def raised(kind, function, *args):
    """The expected error of a call, or None; any other goes on."""
    try:
        function(*args)
    except kind as error:
        return error
    return None


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["", "1", "-3.5", "e30=", "{}", "[", "slate:", "\ud800", "2025-11-22T17:03:21Z", 10**400]
    ),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


@st.composite
def damaged(draw, payloads):
    """One of these payloads with something else in up to three places, or without it."""
    payload = [copy.deepcopy(draw(st.sampled_from(payloads)))]
    for _ in range(draw(st.integers(1, 3))):
        *above, last = (0, *draw(st.sampled_from(list(places(payload[0])))))
        inside = payload
        for key in above:
            inside = inside[key]
        if isinstance(inside, dict) and draw(st.booleans()):
            del inside[last]
        else:
            inside[last] = draw(anything)
    return payload[0]
