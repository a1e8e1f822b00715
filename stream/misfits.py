"""Settings that are each right and do not fit each other, and what works but is not wise."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from state.event import EVENT_TYPES
from state.posterior.config import MOST_BUCKETS
from stream.entry_points import policy_names, source_names
from stream.environment import env_name
from stream.security_settings import insecure, unwise

if TYPE_CHECKING:
    from stream.config import Settings

MOST_WEIGHT: Final = 100.0
"""Of a plugged-in source."""
TOPIC_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def misfits(settings: "Settings") -> Iterable[str]:
    """What is wrong between settings that are each right, one line a problem."""
    topics = settings.input_topics
    if not topics:
        yield env_name("inputs") + ": names no topic"
    if len(set(topics)) < len(topics):
        yield env_name("inputs") + ": names a topic twice"
    for name in sorted(set(topics) & set(settings.own_topics)):
        yield f"{env_name('inputs')}: {name!r} is a topic that Freshslate itself writes or follows"
    for name in (*topics, *settings.own_topics):
        if not TOPIC_NAME.fullmatch(name) or name in {".", ".."}:
            yield (
                f"{env_name('inputs')}, {env_name('topic_prefix')}: {name!r} cannot be a topic's name; Kafka "
                "takes up to 249 letters, digits, '.', '_' and '-'"
            )
            break
    yield from _formats(settings)
    unknown = [name for name in settings.slate_types if name not in EVENT_TYPES]
    if unknown:
        yield f"{env_name('slate_types')}: {unknown[0]!r} is not one of {', '.join(EVENT_TYPES)}"
    if settings.heartbeat_seconds > settings.session_timeout_seconds / 3:
        yield (
            f"{env_name('heartbeat_seconds')}: {settings.heartbeat_seconds:g} must be at most a third of "
            f"{env_name('session_timeout_seconds')} ({settings.session_timeout_seconds:g}), so that two lost "
            "heartbeats do not cost a worker its partitions"
        )
    if settings.slate_size > settings.candidates:
        yield (
            f"{env_name('slate_size')}: {settings.slate_size} must be at most "
            f"{env_name('candidates')} ({settings.candidates})"
        )
    if settings.min_insync is not None and settings.min_insync > settings.replication:
        yield (
            f"{env_name('min_insync')}: {settings.min_insync} must be at most "
            f"{env_name('replication')} ({settings.replication}), or nothing could be written"
        )
    yield from _policies(settings)
    yield from _plugins(settings)
    yield from _learning(settings)
    yield from insecure(settings)


def _formats(settings: "Settings") -> Iterable[str]:
    """Formats of topics that are no inputs, and of the one that has to have our own."""
    variable = env_name("input_formats")
    named = [pair.partition("=")[0].strip() for pair in settings.input_formats]
    for name in dict.fromkeys(name for name in named if named.count(name) > 1):
        yield f"{variable}: {name!r} is named twice"
    for name in dict.fromkeys(name for name in named if name not in settings.inputs):
        yield f"{variable}: {name!r} is none of {env_name('inputs')} ({', '.join(settings.inputs)})"
    if settings.inputs and settings.topic_prefix + settings.inputs[0] in settings.formats:
        yield (
            f"{variable}: {settings.inputs[0]!r} is the first of {env_name('inputs')}, where Freshslate "
            "writes events of its own (heartbeats, users to forget): put a topic in its own format first, "
            f"such as {env_name('inputs')}=events,{','.join(settings.inputs)}"
        )


def _learning(settings: "Settings") -> Iterable[str]:
    if 3600 % settings.learning_bucket_seconds:
        yield (
            f"{env_name('learning_bucket_seconds')}: an hour must be a whole number of buckets, not of "
            f"{settings.learning_bucket_seconds} s"
        )
    if settings.maturity_seconds > (MOST_BUCKETS - 3) * settings.learning_bucket_seconds:
        yield (
            f"{env_name('learning_bucket_seconds')}: {settings.learning_bucket_seconds} is too short for "
            f"{env_name('maturity_seconds')} ({settings.maturity_seconds}): at most {MOST_BUCKETS} buckets "
            "wait at once"
        )


def _policies(settings: "Settings") -> Iterable[str]:
    """What a policy file says already."""
    if settings.policy_file is not None:
        for name in sorted({"policy", "epsilon", "temperature", "random_share"} & settings.model_fields_set):
            yield (
                f"{env_name(name)}: is not looked at with {env_name('policy_file')}; say it in that file, "
                "and unset this"
            )


def _plugins(settings: "Settings") -> Iterable[str]:
    """What is named and not installed, or not as it should be."""
    if settings.policy not in (known := policy_names()):
        yield f"{env_name('policy')}: {settings.policy!r} is not one of {', '.join(known)}"
    names = [name for name, _ in settings.sources]
    known = source_names() if names else ()
    for name, weight in settings.sources:
        if name not in known:
            yield (
                f"{env_name('sources')}: {name!r} is not installed; "
                f"{', '.join(known) or 'no source'} is (docs/plugins.md)"
            )
        if not 0.0 <= weight <= MOST_WEIGHT:
            yield f"{env_name('sources')}: weight {weight:g} of {name} is not in [0, {MOST_WEIGHT:g}]"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{env_name('sources')}: {name!r} is named twice"


def advice(settings: "Settings") -> tuple[str, ...]:
    """What works but is not wise, one line each; for the worker's log."""
    lines = []
    if settings.transaction_timeout_seconds >= settings.session_timeout_seconds:
        lines.append(
            f"{env_name('transaction_timeout_seconds')} ({settings.transaction_timeout_seconds:g}) should be "
            f"below {env_name('session_timeout_seconds')} ({settings.session_timeout_seconds:g}): otherwise "
            "the next owner of a frozen worker's partitions, and every read_committed reader, waits for its "
            "open transaction"
        )
    kept, followed = settings.rewards_retention_seconds, settings.deltas_retention_seconds
    if kept != -1 and (followed == -1 or kept < followed):
        lines.append(
            f"{env_name('rewards_retention_seconds')} ({kept}) should be at least "
            f"{env_name('deltas_retention_seconds')} ({followed}): a worker without a snapshot would count "
            "exposures whose rewards are gone as failures"
        )
    if settings.replication == 2:
        lines.append(
            f"{env_name('replication')} 2 either loses data or stops when one broker fails; 3 does neither"
        )
    lines.extend(unwise(settings))
    return tuple(lines)
