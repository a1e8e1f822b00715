"""A search for the parameters of the shared models that suit a shop's own log.

Optuna's tree-structured Parzen estimator (Bergstra et al., 2011), beginning with the parameters that are
there. Why Optuna, and what is searched: docs/decisions/tuning.md.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from state.errors import FreshslateError
from state.retrieval.config import ModelConfig

Measure: TypeAlias = Callable[[ModelConfig], Mapping[str, float]]
"""Metrics of a configuration on the validation period, by name; among them those of `AIMS`."""

AIMS: Final = ("hr@20", "mrr@20")
"""What is searched for: the mean of these, each relative to the start's."""
STARTUP_TRIALS: Final = 4
"""Random trials of a group before the estimator says where to look, the start among them."""


class Range(NamedTuple):
    """Where a parameter is searched, both ends included."""

    low: float
    high: float
    log: bool = False
    """Whether its factors count, not its differences."""


SPACE: Final[Mapping[str, Mapping[str, Range]]] = {
    "neighbours": {
        "neighbours": Range(50, 1500, log=True),
        "postings": Range(100, 1500, log=True),
        "query_items": Range(2, 30, log=True),
        "match_decay_steps": Range(0.5, 50, log=True),
        "length_exponent": Range(0, 1),
        "idf_exponent": Range(0, 4),
        "similarity_exponent": Range(0.5, 3),
    },
    "votes": {
        "after_decay_steps": Range(0.5, 50, log=True),
        "before_decay_steps": Range(0.5, 50, log=True),
        "before_weight": Range(0, 1.5),
        "vote_decay_steps": Range(0.5, 20, log=True),
        "idf_weight": Range(0, 10),
        "repeat_earlier_weight": Range(0.2, 3, log=True),
    },
    "rules": {
        "rule_steps": Range(1, 20, log=True),
        "rule_backward_weight": Range(0, 1),
        "rule_query_decay_steps": Range(0.3, 20, log=True),
        "history_decay_steps": Range(1, 50, log=True),
    },
    "blend": {
        "rule_weight": Range(0.003, 3, log=True),
        "two_hop_weight": Range(0, 0.5),
        "popularity_weight": Range(0.0001, 0.3, log=True),
        "category_weight": Range(0, 1.5),
        "hour_weight": Range(0, 0.3),
        "content_weight": Range(0, 0.5),
        "history_weight": Range(0.001, 1, log=True),
    },
    "decay": {
        "session_decay_days": Range(1, 500, log=True),
        "rule_decay_days": Range(1, 365, log=True),
        "popularity_decay_days": Range(0.25, 60, log=True),
    },
}
"""What is searched, and where: a group at a time, in turn, with all others as in the best so far.

`repeat_current_weight` is not in it: whether to show the item that one is looking at is the shop's decision,
and no log can tell what it is worth."""
SEARCHED: Final = frozenset(name for group in SPACE.values() for name in group)


class TuningError(FreshslateError):
    """The search cannot be done as asked; says what is missing."""


class Trial(NamedTuple):
    """One configuration that was measured."""

    number: int
    """From 0, which is the start."""
    config: ModelConfig
    metrics: Mapping[str, float]
    score: float
    """Mean of `AIMS` relative to the start's; the start's is 1."""


class Tuned(NamedTuple):
    """What a search found."""

    best: Trial
    """The start, where nothing better was found."""
    start: Trial
    trials: int
    seconds: float

    @property
    def values(self) -> dict[str, Any]:
        """The parameters that were searched, and those that are not the defaults."""
        config, defaults = self.best.config, ModelConfig()
        names = [
            name
            for name in ModelConfig.__struct_fields__
            if name in SEARCHED or getattr(config, name) != getattr(defaults, name)
        ]
        return {name: getattr(config, name) for name in names}


def tune(
    measure: Measure,
    start: ModelConfig,
    *,
    seconds: float,
    seed: int = 1,
    on_trial: Callable[[Trial, Trial], None] = lambda *_: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Search for so long; a trial that has begun is finished.

    The same seed tries the same configurations in the same order, how many depends on the machine.

    Args:
        measure: Measures a configuration.
        start: Where the search begins; it is measured first, and parameters out of `SPACE` stay as they are.
        seconds: Budget.
        seed: Of the search.
        on_trial: Called after each trial with it and the best so far.
        clock: Seconds, for the budget.

    Raises:
        TuningError: Optuna is not installed, or the start finds nothing at all.
    """
    begun = clock()
    first = best = _trial(0, start, measure, {})
    searches = [_Search(group, first, seed + place) for place, group in enumerate(SPACE.values())]
    on_trial(first, best)
    count = 1
    while clock() - begun < seconds:
        search = searches[(count - 1) % len(searches)]
        trial = search.next(count, best, measure)
        if trial.score > best.score:
            best = trial
        count += 1
        on_trial(trial, best)
    return Tuned(best, first, count, clock() - begun)


class _Search:
    """The search in one group of parameters."""

    def __init__(self, group: Mapping[str, Range], start: Trial, seed: int) -> None:
        try:
            import optuna  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            message = "tuning needs Optuna: pip install 'freshslate[tune]'"
            raise TuningError(message) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._start = start
        self._ranges: dict[str, optuna.distributions.BaseDistribution] = {}
        known = {}
        for name, (low, high, log) in group.items():
            value = getattr(start.config, name)
            if isinstance(value, int):
                self._ranges[name] = optuna.distributions.IntDistribution(int(low), int(high), log=log)
            else:
                self._ranges[name] = optuna.distributions.FloatDistribution(low, high, log=log)
            known[name] = min(max(value, low), high)
        self._study.add_trial(
            optuna.trial.create_trial(params=known, distributions=self._ranges, value=start.score)
        )

    def next(self, number: int, best: Trial, measure: Measure) -> Trial:
        """Measure the best configuration with other values of this group."""
        asked = self._study.ask(self._ranges)
        # Four digits are all that the data can tell apart, and all that a person wants to read.
        values = {name: type(value)(f"{value:.4g}") for name, value in asked.params.items()}
        trial = _trial(number, replace(best.config, **values), measure, self._start.metrics)
        self._study.tell(asked, trial.score)
        return trial


def _trial(number: int, config: ModelConfig, measure: Measure, start: Mapping[str, float]) -> Trial:
    metrics = measure(config)
    reached = [(metrics[name], (start or metrics)[name]) for name in AIMS]
    if not all(before > 0 for _, before in reached):
        message = (
            "the parameters that the search begins with find nothing of the validation period: is it long "
            "enough, and do its items occur before it?"
        )
        raise TuningError(message)
    return Trial(number, config, metrics, sum(now / before for now, before in reached) / len(reached))
