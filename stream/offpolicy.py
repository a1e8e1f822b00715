"""Another policy judged from the decision log: read slates and rewards, weigh, estimate.

The log is the topics, or what `freshslate export` wrote of them.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from state.evaluation.decisions import LEFT_OUT, DecisionLog, Decisions
from state.evaluation.evidence import Evidence, OffPolicyError, gather_plan
from state.evaluation.offpolicy import MAIN, Judgement, groups, judge
from state.policy.base import Policy
from state.policy.learning import learns
from state.policy.plan import Plan
from state.posterior.beliefs import PRIOR
from state.retrieval.arrays import DAY_MS
from stream.arrow_rows import RAW
from stream.beliefs import Believed, OnProgress
from stream.codecs import decode_reward, decode_slate
from stream.config import Settings
from stream.connection import connection
from stream.reading import is_heartbeat, read_topic
from stream.times import format_iso
from stream.topics import describe

EVERY: Final = 1_000
"""Records between two calls."""
BATCH_ROWS: Final = 4_096


class Window(Struct, frozen=True):
    """Which part of the log is looked at; epoch milliseconds."""

    since: int
    until: int
    """Not part of it."""
    mature_ms: int
    """How long after its slate feedback counts, for every slate alike."""


class Asked(Struct, frozen=True):
    """How the log is looked at."""

    positions: int | None = None
    """Only the first so many positions of each slate; all if not given."""
    by: tuple[str, ...] = ()
    """`scenario`, `day`, or both."""
    seed: int = 1
    """Of the bootstrap and of what is drawn on the way."""


class Read(Struct, frozen=True):
    """The decision log of a window."""

    decisions: Decisions
    left_out: dict[str, int]
    """Slates that cannot be used, by reason (`state.evaluation.decisions.LEFT_OUT`)."""
    rewards_elsewhere: dict[str, int]
    """Rewards that count for none of the slates, by reason."""
    other_contexts: int = 0
    """Slates whose candidates were logged with other contexts than those of this program."""


class Result(Struct, frozen=True, kw_only=True):
    """What is known of the policy."""

    whole: Judgement
    by: dict[str, dict[str, Judgement]]
    """By `scenario` or `day`, and by which of them."""
    read: Read
    evidence: Evidence
    believed: Believed | None = None
    """What judged policies that learn went by; None where none does."""

    @property
    def refused(self) -> bool:
        """Whether the log cannot answer for all of it."""
        return self.whole.estimates[MAIN].value is None


async def read_topics(settings: Settings, window: Window, on_progress: OnProgress) -> Read:
    """Read the window from the topics; about 5 KB of memory a slate.

    Raises:
        OffPolicyError: The topics do not exist.
        aiokafka.errors.KafkaError: The broker does not answer.
        UnreadableState: A slate or reward of another version.
    """
    names = (settings.slates_topic, settings.rewards_topic)
    found = await describe(connection(settings), names)
    if missing := [name for name in names if name not in found]:
        message = (
            f"there is no topic {' or '.join(missing)} at {settings.broker}: is FRESHSLATE_TOPIC_PREFIX that "
            "of the workers? An exported log is read with --log"
        )
        raise OffPolicyError(message)
    log = DecisionLog(window.since, window.until, window.mature_ms)
    async for value in _values(settings, settings.slates_topic, window, on_progress):
        log.add_slate(decode_slate(value))
    async for value in _values(settings, settings.rewards_topic, window, on_progress):
        log.add_reward(decode_reward(value))
    return _read(log)


def read_export(folder: Path, window: Window, on_progress: OnProgress) -> Read:
    """Read the window from the Parquet files that `freshslate export slates` and `rewards` wrote.

    Raises:
        OffPolicyError: They are not there, or pyarrow is missing.
        UnreadableState: A slate or reward of another version.
    """
    log = DecisionLog(window.since, window.until, window.mature_ms)
    for value in _exported(folder, "slates", window, on_progress):
        log.add_slate(decode_slate(value))
    for value in _exported(folder, "rewards", window, on_progress):
        log.add_reward(decode_reward(value))
    return _read(log)


def evaluate_policy(
    read: Read,
    judged: Plan,
    asked: Asked,
    *,
    known: Sequence[Policy] = (),
    believed: Believed | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Result:
    """Judge policies by what was read.

    Args:
        read: The log.
        judged: Policies and their shares of users, by scenario.
        asked: How.
        known: Policies that may have drawn the log.
        believed: What policies that learn go by, for all of the slates.
        on_progress: Is told how far it is.

    Raises:
        OffPolicyError: The log cannot answer.
    """
    if read.left_out and not read.decisions.rows:
        reasons = (f"{count:,}: {LEFT_OUT[reason]}" for reason, count in read.left_out.items())
        message = f"none of the slates can be used; {'; '.join(reasons)}"
        raise OffPolicyError(message)
    if believed is None:
        refuse_learning(judged)
    elif read.other_contexts:
        message = (
            f"{read.other_contexts:,} slates were logged by a program with other contexts of candidates, "
            "which a policy that learns cannot go by: take a later --from"
        )
        raise OffPolicyError(message)
    decisions = read.decisions if asked.positions is None else read.decisions.first(asked.positions)
    seed = asked.seed

    def tell(done: int, total: int) -> None:
        on_progress("weighing slates", done, total)

    beliefs = PRIOR if believed is None else believed.beliefs
    evidence = gather_plan(decisions, judged.arms, arms=known, beliefs=beliefs, seed=seed, on_progress=tell)
    on_progress("drawing users again", 0, None)
    whole = judge(evidence, seed=seed)
    divided = {
        division: {
            name: judge(evidence, rows=rows, seed=seed)
            for name, rows in groups(evidence.decisions, division).items()
        }
        for division in asked.by
    }
    return Result(whole=whole, by=divided, read=read, evidence=evidence, believed=believed)


def learning(judged: Plan) -> list[str]:
    """Names of the judged policies that go by what was learned."""
    return [policy.name for policy in judged.policies if learns(policy)]


def refuse_learning(judged: Plan) -> None:
    """Refuse policies that learn, where it is not known what they believe.

    Raises:
        OffPolicyError: One of them learns.
    """
    if names := learning(judged):
        message = (
            f"{', '.join(names)} goes by what was learned before --from, and an export holds no deltas to "
            "learn it from: leave out --log, so that it is read from Kafka"
        )
        raise OffPolicyError(message)


def as_json(result: Result, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but the slates themselves, beside what was asked."""
    evidence = result.evidence
    return {
        "asked": dict(asked),
        "slates": evidence.decisions.rows,
        "positions": int(evidence.decisions.rewards.shape[1]),
        "weights": "mixture of the logged policies" if evidence.balanced else "logged propensities",
        "disagreeing_slates": evidence.disagreeing,
        "deterministic_policies": evidence.deterministic,
        "left_out": result.read.left_out,
        "rewards_elsewhere": result.read.rewards_elsewhere,
        "intervals": "95 %, users being what varies",
        "believed": result.believed
        and {
            "version": result.believed.beliefs.version,
            "exposures": result.believed.exposures,
            "rewards": result.believed.rewards,
        },
        "whole": result.whole,
        "by": result.by,
    }


def _read(log: DecisionLog) -> Read:
    return Read(log.decisions(), log.left_out(), dict(log.elsewhere), log.other_contexts)


async def _values(
    settings: Settings, topic: str, window: Window, on_progress: OnProgress
) -> AsyncIterator[bytes]:
    done = 0
    async for record in read_topic(connection(settings), topic, since=window.since):
        done += 1
        if done % EVERY == 0:
            on_progress(f"reading {topic}", done, None)
        if record.value is not None and not is_heartbeat(record):
            yield record.value


def _exported(folder: Path, what: str, window: Window, on_progress: OnProgress) -> Iterator[bytes]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        message = "--log needs pyarrow: pip install 'freshslate[parquet]'"
        raise OffPolicyError(message) from None
    paths = _parts(folder, what, window)
    for number, path in enumerate(paths):
        on_progress(f"reading {what}", number, len(paths))
        with parquet.ParquetFile(path) as file:
            if RAW not in file.schema_arrow.names:
                message = f"{path} has no column `{RAW}`: it is no file of freshslate export"
                raise OffPolicyError(message)
            for batch in file.iter_batches(BATCH_ROWS, columns=[RAW]):
                yield from batch.column(0).to_pylist()


def _parts(folder: Path, what: str, window: Window) -> list[Path]:
    """Files of the days that can hold records of the window: a record is written after its slate's time."""
    if not (folder / what).is_dir():
        message = (
            f"there is no folder {folder / what}: write it with freshslate export {what} --to {folder}, or "
            "leave out --log to read from Kafka"
        )
        raise OffPolicyError(message)
    first, last = (format_iso(time)[:10] for time in (window.since - DAY_MS, window.until + DAY_MS))
    paths = sorted((folder / what).glob("day=*/part-*.parquet"))
    return [path for path in paths if first <= path.parent.name.removeprefix("day=") <= last]
