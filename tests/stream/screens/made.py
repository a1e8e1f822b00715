"""Made-up slates and views, and a console to draw them on."""

import io
from collections.abc import Sequence

from rich.console import Console

from state.evaluation.confidence import Comparison
from state.event import Event, EventItem
from state.slate import Slate, SlateItem, Source, Trigger
from stream.view import (
    Counts,
    DemoSummary,
    DemoView,
    Effect,
    Flow,
    Percentiles,
    Series,
    Shares,
    Walk,
    WorkerRow,
)

SOURCES = (Source("popularity", 0.1), Source("session_knn", 0.4))
BETTER = Comparison(learned=0.213, random=0.13, lift=0.61, lift_ci95=(0.38, 0.9))
UNSURE = Comparison(learned=4.21, random=2.9, lift=0.45, lift_ci95=(-0.12, 1.3))
WORSE = Comparison(learned=0.1, random=0.2, lift=-0.5, lift_ci95=(-0.7, -0.3))


def console(width: int = 80, *, terminal: bool = True, height: int = 40, colours: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=terminal,
        color_system="standard" if colours else None,
        _environ={},
    )


def ascii_console() -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    return Console(file=file, width=80, height=40, force_terminal=True, color_system=None, _environ={})


def text(of: Console) -> str:
    if isinstance(of.file, io.TextIOWrapper):
        assert isinstance(of.file.buffer, io.BytesIO)
        return of.file.buffer.getvalue().decode("ascii")
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def event(item_id: str | None, kind: str = "click", *, position: int | None = None) -> Event:
    items = (EventItem(item_id),) if item_id is not None else ()
    return Event(event_id="e", type=kind, user_id="u", time=1, items=items, position=position)


def slate(*item_ids: str, sources: Sequence[Source] = SOURCES) -> Slate:
    return Slate(
        slate_id="s",
        user_id="u",
        tenant="default",
        scenario="feed",
        time=1,
        trigger=Trigger("e", 1, "events", 0, 0),
        policy="softmax",
        policy_version="1",
        seed=1,
        candidates=60,
        candidates_hash="",
        items=tuple(SlateItem(name, n, 0.5, 0.25, tuple(sources)) for n, name in enumerate(item_ids, 1)),
    )


def series(*values: float | None) -> Series:
    made = Series()
    for value in values:
        made.add(value)
    return made


def walk() -> Walk:
    made = Walk("shopper-17")
    made.add(event("tent-12"), slate("boots-1", "lamp-7", "rope-3"), 12.4)
    made.add(event("lamp-7", "add_to_cart"), slate("lamp-9", "boots-1", "rope-3"), 8)
    return made


def effect() -> Effect:
    return Effect(
        ctr=BETTER,
        revenue=UNSURE,
        conversion=WORSE,
        oracle=Shares(0.83, 0.52),
        ctr_learned=series(None, 0.1, 0.2),
        ctr_random=series(None, 0.1, 0.1),
    )


def view(*, elapsed: float = 12.3, workers: Sequence[WorkerRow] | None = None) -> DemoView:
    rows = (
        WorkerRow(name="worker-1", state="serving", pid=4321, partitions=(0, 1, 2, 5), events=4_000),
        WorkerRow(name="worker-2", state="killed", restarts=3),
    )
    return DemoView(
        elapsed=elapsed,
        seconds=60,
        rate=100,
        events=Flow(total=4_210, per_second=series(0, 50, 98)),
        slates=Flow(total=3_310, per_second=series(0, 40, 77)),
        latency=Percentiles(
            p50=series(None, 10, 11), p99=series(None, 4_000, 60), run_p50=12.2, run_p99=71.4
        ),
        effect=effect(),
        walk=walk(),
        workers=rows if workers is None else tuple(workers),
        counts=Counts(asked=3_312, answered=3_310, kills=3),
    )


def empty_view() -> DemoView:
    """Before anything has happened."""
    return DemoView(
        elapsed=0,
        seconds=60,
        rate=100,
        events=Flow(per_second=Series()),
        slates=Flow(per_second=Series()),
        latency=Percentiles(p50=Series(), p99=Series()),
    )


def summary(*, kills: int = 5) -> DemoSummary:
    return DemoSummary(
        events=6_857,
        past_events=797,
        seconds=60.02,
        slates=5_000,
        p50=11.2,
        p99=71.4,
        effect=effect(),
        counts=Counts(asked=5_000, answered=5_000, kills=kills),
        workers=2,
        audit="105 profiles folded again from the log: all equal",
    )
