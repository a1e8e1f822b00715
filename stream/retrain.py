"""From the decision log to the ranker that serves: once, or again and again beside the workers."""

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from aiokafka.errors import KafkaError

from state.errors import FreshslateError
from state.evaluation.contenders import Contender, Engine
from state.evaluation.log import Log, LogBuilder
from state.evaluation.protocols import Questions
from state.evaluation.ranking import Collector, closing_period, period_before, ranker_examples
from state.ranking.examples import Examples
from stream.config import Settings
from stream.decision_log import read_decision_log
from stream.event_file import EventFile
from stream.ranker import Artefact, ModelCard, decode_ranker, encode_ranker, publish_ranker
from stream.times import now_ms
from stream.training import Trained, TrainingError, TrainingRules, train
from stream.worker import model_config, step_rules

log = logging.getLogger(__name__)

FROM_LOG: Final = "decision log"
CLOSING_SHARE: Final = 0.1
"""Part of a file's time that is learned from; the models' candidates come from what was before."""


def artefact_of(
    trained: Trained,
    examples: Examples,
    source: str,
    *,
    first_time: int | None = None,
    last_time: int | None = None,
) -> bytes:
    """A ranker with its card, as it is stored and published."""
    card = ModelCard(
        trained_at=now_ms(),
        source=source,
        first_time=first_time,
        last_time=last_time,
        lists=int(examples.sizes.size),
        rows=int(examples.labels.size),
        rewarded=int((examples.labels > 0).sum()),
        parameters=trained.parameters,
        metrics=trained.metrics,
        importance=trained.importance,
        library=trained.library,
        program=version("freshslate"),
    )
    return encode_ranker(card, trained.trees)


async def train_on_log(
    settings: Settings,
    window_ms: int,
    rules: TrainingRules | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Train on the latest window of the decision log.

    Args:
        settings: Of the workers.
        window_ms: How far back to learn from.
        rules: How trees are grown.
        on_progress: Told how many trees are grown, of how many; from another thread.

    Raises:
        TrainingError: LightGBM is missing, or the log has too little to learn from.
        aiokafka.errors.KafkaError: The broker does not answer.
    """
    logged = await read_decision_log(settings, now_ms() - window_ms)
    if logged.slates and not logged.examples.sizes.size:
        message = (
            f"none of {logged.slates} rewarded slates says its features: set FRESHSLATE_LOG_FEATURES=true "
            "for the workers, and train when shoppers have answered slates of theirs"
        )
        raise TrainingError(message)
    # LightGBM holds the thread for seconds, and the clients' heartbeats go on meanwhile.
    trained = await asyncio.to_thread(train, logged.examples, rules, on_progress=on_progress)
    return artefact_of(
        trained,
        logged.examples,
        FROM_LOG,
        first_time=logged.first_time,
        last_time=logged.last_time,
    )


def train_on_file(
    settings: Settings,
    events: EventFile,
    rules: TrainingRules | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Train on the last part of a file: what the models find for a session, and the item that came next.

    Args:
        settings: Of the workers.
        events: The file; all of it is learned, and held in memory, some 50 bytes an interaction.
        rules: How trees are grown.
        on_progress: Told what is done, of how much: trees.

    Raises:
        TrainingError: LightGBM is missing, or the file has too little to learn from.
        FormatError: The file is damaged.
    """
    builder = LogBuilder(step_rules(settings).session)
    for event in events:
        builder.add(event, measured=False)
    log = closing_period(builder.log(), CLOSING_SHARE)
    examples = ranker_examples(log, lambda step: Engine(model_config(settings), rerank=step))
    return _on_period(log, examples, events.path.name, rules, on_progress=on_progress)


def _on_period(
    log: Log,
    examples: Examples,
    source: str,
    rules: TrainingRules | None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Train on what the measured period of a log gave."""
    trained = train(examples, rules, on_progress=on_progress)  # which refuses a period without examples
    times = log.time[log.measured]
    return artefact_of(trained, examples, source, first_time=int(times.min()), last_time=int(times.max()))


def train_before_test(
    questions: Questions,
    engine: Callable[[Collector], Contender],
    rules: TrainingRules | None = None,
) -> bytes:
    """Train on the end of the training period, for a test that asks these questions.

    Args:
        questions: Of a protocol; no interaction of its test sessions is looked at.
        engine: Makes the engine that is tested, with a step after retrieval.
        rules: How trees are grown.

    Raises:
        TrainingError: LightGBM is missing, or there is too little to learn from.
    """
    log = period_before(questions.log)
    return _on_period(log, ranker_examples(log, engine), "the last period before the test", rules)


async def retrain_for_ever(
    settings: Settings,
    window_ms: int,
    every_seconds: float,
    rules: TrainingRules | None = None,
    *,
    on_ranker: Callable[[Artefact], None],
) -> None:
    """Train and publish, each time after so many seconds; what fails is logged and tried again then.

    Args:
        settings: Of the workers.
        window_ms: How far back to learn from.
        every_seconds: From the beginning of a training to that of the next.
        rules: How trees are grown.
        on_ranker: Told what was published.
    """
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            value = await train_on_log(settings, window_ms, rules)
            await publish_ranker(settings, value)
            on_ranker(decode_ranker(value))
        except (FreshslateError, KafkaError) as error:
            log.warning("no new ranker this time, the one before serves on: %s", error)
        await asyncio.sleep(max(0.0, began + every_seconds - clock()))
