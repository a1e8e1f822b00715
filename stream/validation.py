"""Tuning on a log of events: the last part of its training period is asked as the test period will be."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct

from state.catalogue import CatalogueItem
from state.evaluation.contenders import Contender
from state.evaluation.metrics import judge, scores, targets_of
from state.evaluation.protocols import Questions, run
from state.event import Event
from state.retrieval.config import ModelConfig
from stream.evaluation import MarkedEvents, Plan, Split, ask
from stream.formats import Rejects
from stream.tuning import AIMS, Measure, Trial, Tuned, tune

FILE_SHARE: Final = 0.1
"""Share of the training events that validates where the test period is a file of its own."""
MOST_QUERIES: Final = 10_000
"""Queries that a trial answers at most; what the search found is compared over all of them in the end."""

MakeWith: TypeAlias = Callable[[ModelConfig], Contender]


class Search(Struct, frozen=True):
    """How to search."""

    seconds: float
    """Budget. What a trial that has begun costs, and the comparison over all queries, comes on top."""
    seed: int = 1
    on_trial: Callable[[Trial, Trial], None] = lambda *_: None


class _Training:
    """The training events of a split, as a source of their own."""

    def __init__(self, events: MarkedEvents) -> None:
        self.rejects = Rejects()
        self._events = events

    def __iter__(self) -> Iterator[Event]:
        return (event for event, measured in self._events if not measured)

    @property
    def note(self) -> str:
        return self._events.note

    def items(self) -> Iterator[CatalogueItem]:
        return iter(self._events.catalogue().values())


def validation(events: MarkedEvents) -> MarkedEvents:
    """The training period alone, its end marked as the test period is marked in `events`.

    As long as the test period in days, or the same share of the events.

    Raises:
        EvaluationError: Nothing is left to train on before it.
    """
    split = events.split
    return MarkedEvents(_Training(events), split if split.file is None else Split(share=FILE_SHARE))


def tune_on(events: MarkedEvents, plan: Plan, make: MakeWith, start: ModelConfig, search: Search) -> Tuned:
    """Search for parameters on the validation period; the test period is not read.

    Args:
        events: Split into training and test.
        plan: The protocol, which validation follows too.
        make: Makes the recommender with given parameters.
        start: Where the search begins, and what it falls back on if nothing better holds over all queries.
        search: Budget and seed.

    Raises:
        EvaluationError: The training period is too short.
        TuningError: Optuna is missing, or the start finds nothing.
    """
    questions = ask(validation(events), plan)
    few = sampled(questions, MOST_QUERIES, search.seed)
    found = tune(
        measured(few, make), start, seconds=search.seconds, seed=search.seed, on_trial=search.on_trial
    )
    if few is questions or found.best is found.start:
        return found
    measure = measured(questions, make)
    first = found.start._replace(metrics=measure(start))
    metrics = measure(found.best.config)
    score = sum(metrics[name] / first.metrics[name] for name in AIMS) / len(AIMS)
    best = found.best._replace(metrics=metrics, score=score)
    return found._replace(start=first, best=best if score > 1.0 else first)


def measured(questions: Questions, make: MakeWith) -> Measure:
    """A measure of configurations by these questions."""
    targets = targets_of(questions)

    def measure(config: ModelConfig) -> Mapping[str, float]:
        judged = judge(targets, run(questions, make(config)))
        found = scores(judged)
        return {name: float(found[name][judged.counted].mean()) for name in AIMS}

    return measure


def sampled(questions: Questions, most: int, seed: int) -> Questions:
    """Questions of some users, about `most`; all of them where there are no more."""
    count = len(questions.queries)
    if count <= most:
        return questions
    users = np.unique(questions.user)
    drawn = np.random.default_rng(seed).random(users.size) < most / count
    rows = np.flatnonzero(drawn[np.searchsorted(users, questions.user)])
    return questions._replace(
        queries=[questions.queries[row] for row in rows.tolist()],
        learned=questions.learned[rows],
        user=questions.user[rows],
        start=questions.start[rows],
        next_end=questions.next_end[rows],
        rest_end=questions.rest_end[rows],
    )
