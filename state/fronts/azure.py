"""Azure Personalizer: `Rank` from a user's slate, `Reward` and `Activate` as events of ours.

Personalizer knows decisions and no users: a call of `Rank` names its own id, `eventId`, and the reward comes
with that id alone. Who answers calls keeps a `Decision` of each in between.

Sources: learn.microsoft.com/rest/api/personalizer/1.0 (rank/rank, events/reward, events/activate), and
github.com/Azure/azure-rest-api-specs, cognitiveservices/data-plane/Personalizer/stable/v1.0.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from state.fronts.fields import Fields, filled, kind_of, refuse

MOST_ACTIONS: Final = 50
MOST_ID: Final = 256
"""Length of an id, characters."""
USER_FEATURES: Final = frozenset({"userid", "user_id"})
"""Names of the feature that says whose slate counts, in small letters."""


class RankAsked(NamedTuple):
    """What a call of `Rank` asks for."""

    event_id: str | None
    """None where whoever answers has to make one up."""
    user_id: str | None
    """By a feature of the context; None where nothing says who it is."""
    actions: tuple[str, ...]
    """Ids, in the order in which the caller would show them; each once."""
    excluded: frozenset[str]
    is_deferred: bool
    """Whether it is not yet known that the user will see the chosen action: `Activate` says so."""


class Ranked(NamedTuple):
    """The answer to a call."""

    chosen: str
    """The action that is to be shown, and that the reward is for."""
    probabilities: tuple[tuple[str, float], ...]
    """Every action with the probability with which it was to be chosen, in the order of the answer."""


class Decision(NamedTuple):
    """What has to be known of a call until its reward comes."""

    event_id: str
    user_id: str
    """The user's; where the call named none, who answers made it of `event_id`."""
    action_id: str
    """That was chosen."""
    slate_id: str | None
    """The slate that holds it; None where none does, so that nothing would be answered."""


def asked(payload: Any) -> RankAsked:
    """Read a `Rank` request.

    Raises:
        InvalidRequest: It is none, or leaves nothing to choose from.
    """
    if not isinstance(payload, dict):
        refuse("body", f"must be an object, not {kind_of(payload)}")
    actions = _actions(payload.get("actions"))
    excluded = payload.get("excludedActions") or []
    if not isinstance(excluded, list) or not all(isinstance(each, str) for each in excluded):
        refuse("excludedActions", "must be an array of ids")
    if set(actions) <= set(excluded):
        refuse("excludedActions", "excludes every action")
    event_id = payload.get("eventId")
    if event_id is not None:
        _check_id(event_id, "eventId")
    is_deferred = payload.get("deferActivation") or False
    if not isinstance(is_deferred, bool):
        refuse("deferActivation", "must be true or false")
    user_id = _user(payload.get("contextFeatures"))
    return RankAsked(event_id, user_id, actions, frozenset(excluded), is_deferred)


def _actions(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_ACTIONS:
        refuse("actions", f"must be an array of 1 to {MOST_ACTIONS} actions")
    for place, action in enumerate(given):
        if not isinstance(action, dict):
            refuse(f"actions[{place}]", f"must be an object, not {kind_of(action)}")
        _check_id(action.get("id"), f"actions[{place}].id")
    ids = tuple(action["id"] for action in given)
    if len(set(ids)) < len(ids):
        refuse("actions", "names an id twice")
    return ids


def _check_id(value: Any, name: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MOST_ID or not value.isprintable():
        refuse(name, f"must be text of 1 to {MOST_ID} characters without control characters")


def _user(features: Any) -> str | None:
    """The user that a feature names: of the context itself, or of one of its dictionaries."""
    if features is None:
        return None
    if not isinstance(features, list) or not all(isinstance(each, dict) for each in features):
        refuse("contextFeatures", "must be an array of objects")
    inner = [value for each in features for value in each.values() if isinstance(value, dict)]
    for name, value in (pair for each in (*features, *inner) for pair in each.items()):
        if name.lower() in USER_FEATURES and isinstance(value, str | int) and not isinstance(value, bool):
            user_id = str(value)
            _check_id(user_id, f"contextFeatures.{name}")
            return user_id
    return None


def rank(asks: RankAsked, preferred: Sequence[str], event_id: str, *, epsilon: float) -> Ranked:
    """Choose an action: the best one, or now and then another, each with the probability that is told.

    The best is the first of the user's slate that is among them, else the first of the call. The same
    `event_id` chooses the same again.

    Args:
        asks: The call.
        preferred: Item ids of the user's slate, in its order.
        event_id: of the call; the draw depends on nothing else.
        epsilon: How often an action is drawn at random, [0, 1].
    """
    allowed = [action for action in asks.actions if action not in asks.excluded]
    order = [item_id for item_id in dict.fromkeys(preferred) if item_id in set(allowed)]
    order += [action for action in allowed if action not in set(order)]
    share = epsilon / len(order)
    weights = {action: share for action in order} | {order[0]: 1.0 - epsilon + share}
    chosen = _drawn(order, weights, event_id)
    order.remove(chosen)
    following = iter([chosen, *order])
    # An excluded action keeps the place that the caller gave it.
    ranking = [action if action in asks.excluded else next(following) for action in asks.actions]
    return Ranked(chosen, tuple((action, weights.get(action, 0.0)) for action in ranking))


def _drawn(order: Sequence[str], weights: Mapping[str, float], event_id: str) -> str:
    digest = hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"azure-rank")
    left = (int.from_bytes(digest.digest(), "little") >> 11) * 2.0**-53
    for action in order:
        left -= weights[action]
        if left < 0:
            return action
    return order[0]


def rank_answer(event_id: str, ranked: Ranked) -> Fields:
    """The body of a `Rank` answer, whose status is 201."""
    ranking = [{"id": action, "probability": probability} for action, probability in ranked.probabilities]
    return {"ranking": ranking, "eventId": event_id, "rewardActionId": ranked.chosen}


def activated(decision: Decision) -> Fields:
    """The event of ours that says that the user saw the action: of `Activate`, or of a call not deferred."""
    return _event(decision, "activate", "impression")


def rewarded(decision: Decision, payload: Any) -> Fields:
    """The event of ours that a `Reward` is: a click for a reward above 0, else a skip; `value` is the reward.

    Its id is the same for every reward of a call, so that the first counts, as it does there.

    Raises:
        InvalidRequest: It is no reward.
    """
    value = payload.get("value") if isinstance(payload, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1 <= value <= 1:
        refuse("value", "must be a number in [-1, 1]")
    return _event(decision, "reward", "click" if value > 0 else "skip") | {"value": value}


def _event(decision: Decision, call: str, kind: str) -> Fields:
    return filled(
        event_id=f"{decision.event_id}-{call}",
        type=kind,
        user_id=decision.user_id,
        items=[{"item_id": decision.action_id}],
        slate_id=decision.slate_id,
        context={"azure": {"event_id": decision.event_id, "call": call}},
    )


STATUS: Final[Mapping[str, int]] = {"BadRequest": 400, "ResourceNotFound": 404, "InternalServerError": 500}
"""HTTP status of each error code."""


def error_answer(code: str, message: str, target: str | None = None) -> tuple[int, Fields]:
    """Status and body of an error; `code` is one of `STATUS`."""
    return STATUS[code], {"error": {"code": code, "message": message} | filled(target=target)}
