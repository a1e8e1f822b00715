"""`GET /v1/policies` and `POST /v1/policies/judge`: who draws slates, and what another would have earned."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from state.errors import SetupError
from state.evaluation.evidence import OffPolicyError
from state.policy.context import CONTEXT
from state.policy.plan import Plan
from state.policy.river_model import learners_of
from state.posterior.beliefs import Belief
from stream.api.context import Context, allowed_everywhere, context_of, json_body
from stream.api.problem import problem
from stream.beliefs import believed_before
from stream.offpolicy import Asked, Window, as_json, evaluate_policy, learning, read_topics
from stream.policy_text import parse_policies
from stream.worker import assignment

MATURE_MS: Final = 30 * 60_000
"""How long feedback is waited for, where the request says nothing."""
LEAST_MATURE_MS: Final = 1000
JSON: Final = "application/json"


class Question(Struct, forbid_unknown_fields=True):
    """A policy to be judged by the log."""

    policy: str
    """As `freshslate ope` takes it: `softmax:temperature=0.15`."""
    hours: float = 24.0
    mature_seconds: float = MATURE_MS / 1000
    positions: Annotated[int, Meta(ge=1)] | None = None
    """Only the first so many of each slate; all if not given. `supported_positions` of the answer says how
    many the log can speak of."""


async def get_policies(request: Request) -> Response:
    """The policies seen in the log of the last minutes, and what this process has learned from feedback."""
    allowed_everywhere(request)
    context = context_of(request)
    beliefs = context.beliefs()
    body = {
        "policies": context.recent.policies(),
        "beliefs": {
            "version": beliefs.version,
            "by_scenario": {name: _summary(each) for name, each in beliefs.by_scenario.items()},
        },
    }
    return _json(body)


async def post_judge(request: Request) -> Response:
    """What the log says that a policy would have earned."""
    allowed_everywhere(request)
    context = context_of(request)
    try:
        question = msgspec.json.decode(await json_body(request), type=Question)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("not_json", f'say which policy: {{"policy": "greedy"}}: {error}') from None
    plan = _plan(question.policy)
    try:
        async with context.turns.turn("ask for fewer hours"):
            return _json(await _judged(context, question, plan))
    except OffPolicyError as error:
        raise problem("wrong_parameter", str(error)) from None


async def _judged(context: Context, question: Question, plan: Plan) -> dict[str, Any]:
    now = context.now()
    mature_ms = max(LEAST_MATURE_MS, int(question.mature_seconds * 1000))
    window = Window(now - int(question.hours * 3_600_000), now - mature_ms, mature_ms)

    def silent(what: str, done: int, total: int | None) -> None:
        del what, done, total

    read = await read_topics(context.settings, window, silent)
    believed = None
    if learning(plan):
        learners = learners_of(plan.policies)
        believed = await believed_before(
            context.settings, window.since, learners=learners, on_progress=silent
        )
    known = (*assignment(context.settings).policies, *plan.policies)
    looked = Asked(positions=question.positions)
    found = await asyncio.to_thread(evaluate_policy, read, plan, looked, known=known, believed=believed)
    asked = {
        "policy": question.policy,
        "from": window.since,
        "to": window.until,
        "mature_ms": window.mature_ms,
        "positions": question.positions,
    }
    return as_json(found, asked)


def _plan(text: str) -> Plan:
    """The policy that a text names; never a file of this machine.

    Raises:
        Problem: There is no such policy.
    """
    if ".toml" in text:
        raise problem("wrong_parameter", "name a policy, such as softmax:temperature=0.15, and no file")
    try:
        return parse_policies(text)
    except (ValueError, SetupError) as error:
        raise problem("wrong_parameter", str(error)) from None


def _summary(belief: Belief) -> dict[str, Any]:
    """The weights with most to say, each with its standard deviation."""
    deviation = np.sqrt((belief.root * belief.root).sum(axis=1))
    order = np.argsort(-np.abs(belief.mean))
    return {
        "exposures": float(belief.count),
        "weights": [
            {"name": CONTEXT[n], "mean": float(belief.mean[n]), "sd": float(deviation[n])} for n in order
        ],
    }


def _json(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), headers={"Cache-Control": "no-store"}, media_type=JSON)
