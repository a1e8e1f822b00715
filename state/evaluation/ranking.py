"""What a ranker learns from a log: the queries of its last period, and what came next.

The models that find the candidates have learned everything before that period and nothing of it, as those of
a test have of the test period.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from state.evaluation.contenders import Contender
from state.evaluation.log import Log
from state.evaluation.protocols import Questions, frozen, in_test, run
from state.ranking.examples import Examples, answered_examples
from state.retrieval.blend import Query, Ranked

if TYPE_CHECKING:
    from state.models import Models


class Collector:
    """A step after retrieval that leaves the candidates alone, and notes them with what came next.

    Args:
        questions: That the engine will be asked, in their order.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._done = 0
        self._parts: list[Examples] = []

    def __call__(self, models: "Models", queries: Sequence[Query], ranked: Ranked) -> Ranked:
        """Note the candidates of the next queries."""
        answers = [self._answer(self._done + n) for n in range(len(queries))]
        self._parts.append(answered_examples(models, queries, ranked, answers))
        self._done += len(queries)
        return ranked

    @property
    def examples(self) -> Examples:
        """A list for each query so far whose candidates held an answer."""
        return Examples.joined(self._parts)

    def _answer(self, query: int) -> tuple[str, ...]:
        asked = self._questions
        rows = asked.by_session[asked.start[query] : asked.next_end[query]]
        return tuple([asked.log.names[number] for number in asked.log.item[rows].tolist()])


def period_before(log: Log) -> Log:
    """The training sessions alone, with their end as the test: as long a time as the test period has.

    Raises:
        ValueError: No interaction is measured.
    """
    if not log.measured.any():
        message = "no interaction is in the test period, so there is nothing before it"
        raise ValueError(message)
    times = log.time[log.measured]
    begin = int(times.min())
    train = log.taken(~in_test(log))
    return train._replace(measured=train.time >= begin - (int(times.max()) + 1 - begin))


def closing_period(log: Log, share: float) -> Log:
    """The log with the last `share` of its time as the test."""
    if not log.rows:
        return log
    first, last = int(log.time.min()), int(log.time.max())
    return log._replace(measured=log.time > last - share * (last - first))


def ranker_examples(
    log: Log,
    engine: Callable[[Collector], Contender],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> Examples:
    """What a ranker learns from the test period of a log, of which the models that serve it know nothing.

    To judge a ranker on a log's test period, let it learn from `period_before`; to serve with it, from
    `closing_period`.

    Args:
        log: Of all events; those that the ranker learns from are measured.
        engine: Makes the engine that will serve, with another step after retrieval.
        on_progress: Called with the queries answered so far.
    """
    questions = frozen(log)
    collector = Collector(questions)
    run(questions, engine(collector), on_progress=on_progress)
    return collector.examples
