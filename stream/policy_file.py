"""The policy file: which policies serve which scenario and share of users (docs/policies.md).

Read at the start, watched, and put in force when it changes. The kernels of a changed file's policies are
compiled in a thread before they serve: a first compile of seconds must never happen inside a cycle.
"""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from state.errors import InvalidPlan, SetupError, named
from state.policy.base import Policy
from state.policy.plan import Place, Plan, parse_plan
from state.policy.registry import POLICY_NAMES, WrongParameter, build_policy
from state.policy.river_model import RiverModel, learners_of
from state.policy.shares import Assignment
from stream.metrics import Metrics
from stream.plugins import plugged_policy
from stream.watched_file import Kind, WatchedFile, decode_toml
from stream.worker_metrics import POLICY_FILE_INFO, POLICY_FILE_REFUSED

log = logging.getLogger(__name__)

KIND: Final = Kind("policies", POLICY_FILE_REFUSED, POLICY_FILE_INFO)
_HEADER: Final = re.compile(r"\s*\[\[?\s*(?P<keys>[^\]]+?)\s*\]\]?\s*(?:#.*)?")


class PolicyFile(WatchedFile[Plan]):
    """Keeps the plan in force equal to a file.

    Args:
        path: TOML, as in docs/policies.md.
        follow: Takes a plan that is to be in force.
        warm: Runs the kernels of policies once; called in a thread.
        metrics: Count refusals and name the version in force.

    Raises:
        SetupError: The file cannot be followed.
    """

    def __init__(
        self, path: Path, follow: Callable[[Plan], None], warm: Callable[[Plan], None], metrics: Metrics
    ) -> None:
        self._warm = warm
        super().__init__(path, KIND, read=read_plan, follow=follow, metrics=metrics)

    def ready(self, value: Plan) -> None:
        """Compile what the plan needs."""
        self._warm(value)


def load_plan(path: Path) -> Plan:
    """The plan of a file.

    Raises:
        SetupError: It cannot be followed.
    """
    try:
        return read_plan(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
    except InvalidPlan as error:
        reason = str(error)
    message = f"the policies in {path} cannot be followed: {reason}"
    raise SetupError(message)


def hand_over(old: Assignment, new: Assignment) -> None:
    """Let each model of river in the new assignment go on as its equal in the old one."""
    learners = learners_of(old.policies)
    for policy in new.policies:
        if isinstance(policy, RiverModel):
            if policy.learner.spec not in learners:
                log.warning(
                    "the model %s is taught from the next start on; its slates go by the scores until then",
                    policy.learner.spec,
                )
            policy.learner = learners.setdefault(policy.learner.spec, policy.learner)


def read_plan(content: bytes | str) -> Plan:
    """A plan from a file's content.

    Args:
        content: TOML in UTF-8; text is why it could not be read.

    Raises:
        InvalidPlan: With every problem, its line and place before it.
    """
    fields = decode_toml(content, lambda reason: InvalidPlan([((), reason)]))
    try:
        return parse_plan(fields, policy_named)
    except InvalidPlan as error:
        lines = content.decode().splitlines() if isinstance(content, bytes) else []
        raise InvalidPlan(
            [((), _with_line(lines, place, reason)) for place, reason in error.placed]
        ) from None


def policy_named(name: str, parameters: Mapping[str, Any]) -> Policy:
    """One of our own policies, or a plugged-in one.

    Raises:
        WrongParameter: There is no such policy or parameter, or a value is wrong.
    """
    if name in POLICY_NAMES:
        return build_policy(name, parameters)
    try:
        policy = plugged_policy(name)
    except SetupError as error:
        reason = f"{name!r} is neither one of {', '.join(POLICY_NAMES)} nor a plug-in: {error}"
        raise WrongParameter(reason, key="policy") from None
    if parameters:
        reason = f"{name} is a plug-in, which takes no parameters here"
        raise WrongParameter(reason, key=next(iter(parameters)))
    return policy


def _with_line(lines: list[str], place: Place, reason: str) -> str:
    """The reason with its place, and the line of the text where that is found."""
    number = line_of(lines, place)
    told = f"{named(place)}: {reason}" if place else reason
    return f"line {number}: {told}" if number else told


def line_of(lines: list[str], place: Place) -> int:
    """The line, from 1, of a key in a table of a list, or of the table's header; 0 where it is not found.

    Examples:
        >>> text = ['salt = "x"', "[[arm]]", "share = 1", "[[arm]]", "share = 2"]
        >>> line_of(text, ("arm", 1, "share")), line_of(text, ("arm", 1, "policy")), line_of(text, ("salt",))
        (5, 4, 1)
    """
    numbers = [each for each in place if isinstance(each, int)]
    keys = [each for each in place if isinstance(each, str)]
    key = keys.pop() if keys and (not numbers or isinstance(place[-1], str)) else ""
    wanted, header = ".".join(keys), 0
    passed, inside = 0, not wanted
    for number, line in enumerate(lines, 1):
        if found := _HEADER.fullmatch(line):
            name = ".".join(part.strip().strip("\"'") for part in found["keys"].split("."))
            if not numbers and key and name == ".".join([*keys, key]):
                return number
            inside = name == wanted and passed == (numbers[-1] if numbers else 0)
            passed += name == wanted
            header = number if inside else header
        elif inside and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return header
