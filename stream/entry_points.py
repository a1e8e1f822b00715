"""What is plugged in, by the entry points of installed distributions; nothing of it is imported here.

    [project.entry-points."freshslate.sources"]
    season = "acme_slates:Season"

What the entry point names is called without arguments and gives the source or the policy.
"""

import re
from importlib.metadata import entry_points
from typing import Final, NamedTuple

SOURCE_GROUP: Final = "freshslate.sources"
POLICY_GROUP: Final = "freshslate.policies"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""What a plug-in may be called: it stands in slates and in labels of metrics."""
OWN_POLICIES: Final = ("softmax", "epsilon_greedy", "squarecb", "linear_ts", "source_mix", "greedy")
"""Policies that can be chosen without a plug-in or a policy file; the control group's is not one of them."""


class PluginRow(NamedTuple):
    """A plug-in that is installed, for people."""

    kind: str
    """`source` or `policy`."""
    name: str
    target: str
    """What it imports."""
    distribution: str
    """Name and version."""


def installed() -> list[PluginRow]:
    """Every plug-in that is installed, whether it is in use or not."""
    return [
        PluginRow(kind, each.name, each.value, f"{each.dist.name} {each.dist.version}" if each.dist else "")
        for kind, group in (("source", SOURCE_GROUP), ("policy", POLICY_GROUP))
        for each in sorted(entry_points(group=group), key=lambda each: each.name)
    ]


def policy_names() -> tuple[str, ...]:
    """Policies that can be chosen, those of plug-ins last."""
    return OWN_POLICIES + tuple(row.name for row in installed() if row.kind == "policy")


def source_names() -> tuple[str, ...]:
    """Candidate sources that can be plugged in."""
    return tuple(row.name for row in installed() if row.kind == "source")
