"""Recommenders compared on a file of events: read, split, ask, judge."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from state.catalogue import CatalogueItem
from state.errors import FreshslateError
from state.evaluation.baselines.registry import BASELINES, REBUILT
from state.evaluation.contenders import LIST_SIZE, Contender
from state.evaluation.log import Log, LogBuilder
from state.evaluation.protocols import (
    Questions,
    daily,
    frozen,
    in_test,
    only_items,
    prequential,
    run,
    without_new_items,
)
from state.evaluation.results import Results, compare_lists
from state.event import POSITIVE_TYPES, Event, EventItem
from state.recommend import RecommendRules
from state.retrieval.arrays import DAY_MS
from state.session import SessionRules
from stream.formats import Rejects
from stream.formats.packed import is_there

Make: TypeAlias = Callable[[], Contender]
OnProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a configuration, the queries answered, and how many there are."""

STATEMENTS: Final = {
    "frozen": "learn the training sessions, then answer the test sessions without learning from them",
    "daily": "as frozen, but at each midnight (UTC) learn what happened until then",
    "prequential": "for each event of the test period: recommend, score, then learn",
}


class EvaluationError(FreshslateError):
    """The comparison cannot be made as asked; says what to change."""


class Source(Protocol):
    """Events to evaluate on, as `stream.event_file.EventFile` gives them."""

    rejects: Rejects

    def __iter__(self) -> Iterator[Event]: ...

    @property
    def note(self) -> str:
        """What the file cannot know, such as times."""
        ...

    def items(self) -> Iterator[CatalogueItem]:
        """The catalogue, where there is one."""
        ...


class Split(Struct, frozen=True):
    """Where the test period begins: one of the three is given."""

    days: int | None = None
    """Whole days (UTC) at the end."""
    share: float | None = None
    """Share of the events at the end, (0, 1)."""
    file: Path | None = None
    """Events of their own."""

    def __str__(self) -> str:
        if self.days is not None:
            return f"the last {self.days} days"
        return f"the last {self.share:.0%} of the events" if self.share is not None else f"{self.file}"


def parse_split(text: str) -> Split:
    """A split such as `7d`, `0.1`, or a file.

    Raises:
        ValueError: It is none of them.
    """
    if text.endswith("d") and text[:-1].isdigit() and int(text[:-1]):
        return Split(days=int(text[:-1]))
    try:
        share = float(text)
    except ValueError:
        if Path(text).exists() or is_there(Path(text)):
            return Split(file=Path(text))
        message = f"{text!r} is neither days such as 7d, a share such as 0.1, nor a file"
        raise ValueError(message) from None
    if not 0 < share < 1:
        message = f"a share must be above 0 and below 1, got {text}"
        raise ValueError(message)
    return Split(share=share)


class Plan(Struct, frozen=True, kw_only=True):
    """What is asked."""

    protocol: Literal["frozen", "daily", "prequential"] = "frozen"
    items: Literal["train", "all"] = "train"
    """Whether test items that no training session has are left out, or asked for too."""
    target: Literal["item", "category"] = "item"
    """What an event is about: its items, or their categories in place of them."""
    baskets: Literal["whole", "lines"] = "whole"
    """Whether the items of an event are asked for together, or one by one as if each had an event."""
    late_days: int = 0
    """Days that the models are behind; not for `prequential`."""
    batch: int = 1
    """Events of `prequential` that are answered before any of them is learned."""
    sessions: SessionRules = SessionRules()
    recommend: RecommendRules = RecommendRules()
    seed: int = 1
    """Of the intervals' draws."""


class MarkedEvents:
    """Events of a source in their order, each with whether it is in the test period.

    Args:
        source: Where they come from; it is read at least twice.
        split: Where the test period begins.
        test: The test period's own source, where the split names a file.

    Raises:
        EvaluationError: There is nothing to train on or nothing to test.
    """

    def __init__(self, source: Source, split: Split, test: Source | None = None) -> None:
        self.split = split
        self._sources = (source,) if test is None else (source, test)
        self._begin = _test_begin(source, split)

    def __iter__(self) -> Iterator[tuple[Event, bool]]:
        for number, source in enumerate(self._sources):
            for event in source:
                yield event, number == 1 or (self._begin is not None and event.time >= self._begin)

    @property
    def note(self) -> str:
        """What the source cannot know."""
        return self._sources[0].note

    def catalogue(self) -> dict[str, CatalogueItem]:
        """The catalogue by item."""
        return {item.item_id: item for source in self._sources for item in source.items()}


def _test_begin(source: Source, split: Split) -> int | None:
    """Time of the first event that may be in the test period; None where that is a file of its own."""
    times = array("q", (event.time for event in source if event.type in POSITIVE_TYPES))
    if not times:
        message = "the file holds no view, click, cart or purchase: is --format right?"
        raise EvaluationError(message)
    if split.file is not None:
        return None
    ordered = np.sort(np.array(times))
    if split.days is not None:
        begin = (int(ordered[-1]) // DAY_MS + 1 - split.days) * DAY_MS
    else:
        begin = int(ordered[ordered.size - max(1, round((split.share or 0.0) * ordered.size))])
    if begin <= ordered[0]:
        days = (int(ordered[-1]) - int(ordered[0])) / DAY_MS
        message = f"all events are in {split}, and none is left to train on: the file spans {days:.1f} days"
        raise EvaluationError(message)
    return begin


def ask(events: MarkedEvents, plan: Plan) -> Questions:
    """Read the events and make the questions of the plan's protocol.

    Raises:
        EvaluationError: No question comes out.
    """
    marked = _as_planned(events, plan)
    if plan.protocol == "prequential":
        if plan.items == "train":
            log = _log(marked, plan.sessions)
            known = np.unique(log.item[~in_test(log)]).tolist()
            marked = only_items(_as_planned(events, plan), frozenset(log.names[number] for number in known))
        questions = prequential(marked, plan.sessions, plan.recommend, batch=plan.batch)
    else:
        log = _log(marked, plan.sessions)
        if plan.items == "train":
            log = without_new_items(log)
        ask_sessions = frozen if plan.protocol == "frozen" else daily
        questions = ask_sessions(log, late_ms=plan.late_days * DAY_MS)
    if not questions.queries:
        message = (
            f"{events.split} hold no session with a second event"
            + (" about items known from training" if plan.items == "train" else "")
            + ": choose a longer test period (--split)"
        )
        raise EvaluationError(message)
    return questions


def _log(events: Iterable[tuple[Event, bool]], sessions: SessionRules) -> Log:
    builder = LogBuilder(sessions)
    for event, measured in events:
        builder.add(event, measured=measured)
    return builder.log()


def _as_planned(events: MarkedEvents, plan: Plan) -> Iterable[tuple[Event, bool]]:
    """The events as the plan wants them, to be gone through once."""
    marked: Iterable[tuple[Event, bool]] = events
    if plan.target == "category":
        marked = _by_category(events, events.catalogue())
    return _by_line(marked) if plan.baskets == "lines" else marked


def _by_category(
    events: MarkedEvents, catalogue: Mapping[str, CatalogueItem]
) -> Iterator[tuple[Event, bool]]:
    categories = {name: item.category for name, item in catalogue.items() if item.category}
    if not categories:
        message = "the file names no categories: give a catalogue (--catalogue)"
        raise EvaluationError(message)
    return (
        (replace(event, items=tuple([EventItem(name) for name in names])), measured)
        for event, measured in events
        if (names := dict.fromkeys(categories[i.item_id] for i in event.items if i.item_id in categories))
    )


def _by_line(events: Iterable[tuple[Event, bool]]) -> Iterator[tuple[Event, bool]]:
    for event, measured in events:
        for number, item in enumerate(event.items):
            yield replace(event, event_id=f"{event.event_id}.{number}", items=(item,)), measured


def contenders(engines: Mapping[str, Make], baselines: Sequence[str], plan: Plan) -> dict[str, Make]:
    """Everything that is compared, by name.

    Raises:
        EvaluationError: There is no such baseline, or it cannot follow the protocol.
    """
    if unknown := [name for name in baselines if name not in BASELINES]:
        message = f"there is no baseline {', '.join(unknown)}; known are {', '.join(BASELINES)}"
        raise EvaluationError(message)
    if plan.protocol == "prequential" and (slow := [name for name in baselines if name in REBUILT]):
        message = (
            f"{', '.join(slow)} would be built anew after every event: compare them under --protocol frozen "
            "or daily"
        )
        raise EvaluationError(message)
    return {**engines, **{name: BASELINES[name] for name in baselines}}


def compare_contenders(
    questions: Questions, makers: Mapping[str, Make], *, seed: int, on_progress: OnProgress | None = None
) -> Results:
    """Let each configuration learn and answer from nothing, then judge all of them."""
    total = len(questions.queries)
    lists = {}
    for name, make in makers.items():

        def tell(done: int, name: str = name) -> None:
            if on_progress is not None:
                on_progress(name, done, total)

        lists[name] = run(questions, make(), on_progress=tell)
    return compare_lists(questions, lists, seed=seed)


def statement(events: MarkedEvents, questions: Questions, plan: Plan) -> dict[str, Any]:
    """The protocol in words and numbers, to stand beside every result of it."""
    log = questions.log
    first = int(questions.learned[0])
    train = ~in_test(log)
    measured = log.measured
    return {
        "protocol": plan.protocol,
        "means": STATEMENTS[plan.protocol],
        "split": str(events.split),
        "late_days": plan.late_days,
        "batch": plan.batch if plan.protocol == "prequential" else None,
        "test_items": "known from training only" if plan.items == "train" else "all",
        "target": plan.target,
        "baskets": plan.baskets,
        "ranked_over": "all items learned when asked",
        "list_size": LIST_SIZE,
        "predictions": len(questions.queries),
        "train_interactions": int(np.count_nonzero(train)),
        "train_sessions": int(np.unique(log.session[train]).size),
        "train_items": int(np.unique(log.item[train]).size),
        "learned_before_first_query": first,
        "test_interactions": int(np.count_nonzero(measured)),
        "test_sessions": int(np.unique(log.session[measured]).size),
        "test_users": int(np.unique(questions.user).size),
        "test_begin": int(log.time[measured].min()),
        "test_end": int(log.time[measured].max()),
        "intervals": "95 %, percentile bootstrap over users, paired for differences",
        "seed": plan.seed,
        "note": events.note,
    }
