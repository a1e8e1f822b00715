"""Whether topics are as the settings need them, before anything is processed: a line for each problem.

Some problems stop a worker: it would lose or mix up state. Others it can run with, and are risks that
somebody should know of. Each line ends with the command or the setting that mends it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from state.errors import SetupError
from stream.connection import Where
from stream.topics import TopicSpec, TopicState, describe

FOR_EVER: Final = -1
"""Kafka's value of no limit."""
MODEST: Final = ("retention.ms", "min.compaction.lag.ms", "delete.retention.ms", "min.insync.replicas")
"""Configuration that may be larger than asked for, and is a risk where it is smaller."""
PROMPT: Final = ("max.compaction.lag.ms", "segment.ms", "segment.bytes")
"""Configuration that may be smaller than asked for; where it is larger, a restore takes longer."""


class Problem(NamedTuple):
    """What is wrong with topics, and what mends it."""

    text: str
    """One line."""
    stops: bool
    """Whether a worker does not start with it."""


class TopicMismatch(SetupError):
    """Topics that exist, or do not, in a form this worker cannot run on.

    Args:
        problems: One line each, with what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"the topics do not fit the settings:\n{lines}")


async def topic_problems(broker: Where, specs: Sequence[TopicSpec]) -> list[Problem]:
    """Everything that does not fit, what stops a worker first.

    Raises:
        BrokerUnreachableError: No broker answers.
    """
    found = await describe(broker, [spec.name for spec in specs])
    return sorted(mismatches(specs, found), key=lambda problem: not problem.stops)


async def check_topics(broker: Where, specs: Sequence[TopicSpec]) -> tuple[str, ...]:
    """Compare the topics that exist with `specs`.

    Returns:
        Risks that a worker can run with, a line each.

    Raises:
        BrokerUnreachableError: No broker answers.
        TopicMismatch: With everything that a worker cannot run with.
    """
    problems = await topic_problems(broker, specs)
    stopping = [problem.text for problem in problems if problem.stops]
    if stopping:
        raise TopicMismatch(stopping)
    return tuple(problem.text for problem in problems)


def mismatches(specs: Sequence[TopicSpec], found: Mapping[str, TopicState]) -> Iterable[Problem]:
    """Everything about `found` that does not fit `specs`."""
    missing = [spec.name for spec in specs if spec.name not in found]
    if missing:
        verb = "does" if len(missing) == 1 else "do"
        yield Problem(f"{', '.join(missing)} {verb} not exist: run `freshslate topics create`", stops=True)
    yield from _inputs_apart(specs, found)
    yield from _odd_counts(specs, found)
    for spec in specs:
        if spec.name in found:
            yield from _wrong_config(spec, found[spec.name].config)
            yield from _unsafe(spec, found[spec.name])


def _inputs_apart(specs: Sequence[TopicSpec], found: Mapping[str, TopicState]) -> Iterable[Problem]:
    counts = {
        spec.name: found[spec.name].partitions for spec in specs if spec.is_input and spec.name in found
    }
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        text = (
            f"the inputs are not co-partitioned ({told} partitions), so a user's events would reach "
            "different workers: copy the odd ones into topics of equal partition count"
        )
        yield Problem(text, stops=True)


def _odd_counts(specs: Sequence[TopicSpec], found: Mapping[str, TopicState]) -> Iterable[Problem]:
    """One line per wrong partition count, so that a wrong setting is one line and not six."""
    odd = defaultdict(list)
    for spec in specs:
        if spec.is_copartitioned and spec.name in found and found[spec.name].partitions != spec.partitions:
            odd[found[spec.name].partitions].append(spec)
    for count, group in odd.items():
        advice = (
            f"set FRESHSLATE_PARTITIONS={count}, or run `freshslate topics move` for another count"
            if any(spec.is_input for spec in group)
            else "use a fresh FRESHSLATE_TOPIC_PREFIX, or delete them if nothing in them is needed"
        )
        text = (
            f"{', '.join(spec.name for spec in group)}: {count} partitions, but FRESHSLATE_PARTITIONS is "
            f"{group[0].partitions}: {advice}"
        )
        yield Problem(text, stops=True)


def _wrong_config(spec: TopicSpec, config: Mapping[str, str]) -> Iterable[Problem]:
    """Configuration with which state or batches would get lost."""
    wanted, actual = _policies(spec.config), _policies(config)
    if wanted != actual:
        text = ",".join(sorted(wanted))
        yield Problem(
            f"{spec.name} has cleanup.policy={','.join(sorted(actual))}, not {text}: "
            f"{_alter(spec.name, 'cleanup.policy', text)}",
            stops=True,
        )
    needed = int(spec.config.get("max.message.bytes", 0))
    allowed = int(config.get("max.message.bytes", needed))
    if allowed < needed:
        yield Problem(
            f"{spec.name} has max.message.bytes={allowed}, below {needed}: "
            f"{_alter(spec.name, 'max.message.bytes', str(needed))}",
            stops=True,
        )


def _unsafe(spec: TopicSpec, found: TopicState) -> Iterable[Problem]:
    """What a worker runs with, until a broker dies or a log is needed that is gone."""
    config, in_sync = found.config, int(found.config.get("min.insync.replicas", 1))
    if found.replicas is not None and in_sync > found.replicas:
        yield Problem(
            f"{spec.name} has min.insync.replicas={in_sync} and {_copies(found.replicas)}, so nothing can be "
            f"written: {_alter(spec.name, 'min.insync.replicas', str(found.replicas))}",
            stops=True,
        )
    elif found.replicas is not None and found.replicas < spec.replication:
        yield Problem(
            f"{spec.name} has {_copies(found.replicas)}, but FRESHSLATE_REPLICATION is {spec.replication}: "
            f"add some with kafka-reassign-partitions, or set FRESHSLATE_REPLICATION={found.replicas}",
            stops=False,
        )
    if "delete" in _policies(spec.config) and _limit(config.get("retention.bytes", "-1")) != float("inf"):
        yield Problem(
            f"{spec.name} has retention.bytes={config['retention.bytes']}, so records may go too early: "
            f"{_alter(spec.name, 'retention.bytes', '-1')}",
            stops=False,
        )
    for key, value in spec.config.items():
        if key in config and _is_worse(key, config[key], value):
            yield Problem(
                f"{spec.name} has {key}={config[key]}, {'above' if key in PROMPT else 'below'} {value}: "
                f"{_alter(spec.name, key, value)}",
                stops=False,
            )


def _is_worse(key: str, found: str, wanted: str) -> bool:
    if key in PROMPT:
        return _limit(found) > _limit(wanted)
    return key in MODEST and _limit(found) < _limit(wanted)


def _limit(value: str) -> float:
    return float("inf") if int(value) == FOR_EVER else int(value)


def _copies(count: int) -> str:
    return f"{count} {'copy' if count == 1 else 'copies'} of a partition"


def _policies(config: Mapping[str, str]) -> frozenset[str]:
    return frozenset(part.strip() for part in config.get("cleanup.policy", "delete").split(","))


def _alter(topic: str, key: str, value: str) -> str:
    shown = f"[{value}]" if "," in value else value
    return (
        "kafka-configs --bootstrap-server $FRESHSLATE_BROKER --alter --entity-type topics --entity-name "
        f"{topic} --add-config {key}={shown}"
    )
