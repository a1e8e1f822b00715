"""One user's steps on a screen: the event, what it changed, and why the new slate is what it is."""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from state.difference import Place, StateChange, move
from state.event import Event, Origin
from state.retrieval.explain import Explanation
from state.slate import Reward
from stream.screens.inspection import age, print_inspection
from stream.screens.slate import reasons, ruled
from stream.timeline import Happened, Rejected, Repeated, Shown, Started, Step, Waiting
from stream.times import format_iso, now_ms

TOP: Final = 5
"""Items shown of a slate; --json has all."""
NEIGHBOURS: Final = 3
"""Shown per item."""
NAMES: Final = 8
"""Item ids listed in a line."""
LABEL: Final = 12
"""Columns of the word that a line begins with."""


class TimelineScreen:
    """Prints steps as they come; on a terminal with a moving line until the first.

    A context manager, so that the moving line ends whatever happens.

    Args:
        console: to print on.
        now: epoch milliseconds, what ages count to.
    """

    def __init__(self, console: Console, *, now: Callable[[], int] | None = None) -> None:
        self._console = console
        self._now = now or now_ms
        self._status: Status | None = None
        self._told = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def doing(self, what: str) -> None:
        """Say what is being done before the first step."""
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status("")
                self._status.start()
            self._status.update(escape(what))
        elif (begin := what.partition(":")[0]) != self._told:
            self._told = begin
            self._console.print(f"... {what}", highlight=False, markup=False)

    def step(self, step: Step) -> None:
        """Print one step."""
        self._close()
        match step:
            case Started():
                self._started(step)
            case Happened():
                self._happened(step)
            case Repeated():
                self._print(_title(step.event, step.origin))
                self._line("duplicate", f"of an earlier {step.event.event_id}: it changes nothing", "yellow")
            case Rejected():
                self._rejected(step)
            case Waiting():
                self._waiting(step)

    def _close(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _started(self, step: Started) -> None:
        inspection = step.inspection
        if inspection.profile is None and not inspection.slates:
            self._print(
                Text.assemble(
                    ("shopper ", "dim"),
                    (inspection.user_id, "bold"),
                    (f"  partition {inspection.partition} of {inspection.partitions}", "dim"),
                    "\nnothing is known of them yet",
                )
            )
        else:
            print_inspection(self._console, inspection, self._now())
        places = [f"{topic}-{inspection.partition} offset {at:,}" for topic, at in step.offsets.items()]
        self._print(Text(f"\nfollowing, from {', '.join(places)} on; Ctrl-C ends it", "dim"))

    def _happened(self, step: Happened) -> None:
        self._print(_title(step.event, step.origin))
        self._line("session", _session(step.state))
        self._line("state", _state(step.state))
        for reward in step.rewards:
            self._line("reward", _reward(reward), "green")
        if step.shown is not None:
            self._shown(step.shown)
        elif step.is_unanswered:
            told = "none came: is FRESHSLATE_SLATE_TYPES here as the workers have it?"
            self._line("slate", told, "yellow")

    def _shown(self, shown: Shown) -> None:
        slate, change = shown.slate, shown.change
        self._line(
            "slate",
            f"{slate.slate_id}, {_duration(shown.took_ms)} later, policy {slate.policy} "
            f"({slate.policy_version}), scenario {slate.scenario}, "
            f"{len(slate.items)} of {slate.candidates} candidates",
        )
        if told := ruled(slate):
            self._line("", told)
        if not slate.items:
            self._line("", "empty: the models knew no item yet that this shopper had not just bought")
            return
        if not change.is_first:
            counts = change.count()
            told = (
                f"{counts['entered']} new, {counts['up']} up, {counts['down']} down, {counts['stayed']} stay"
            )
            self._line("", told + (f"; gone: {_names(change.left)}" if change.left else ""))
        for row in _rows(shown):
            self._print(row)

    def _rejected(self, step: Rejected) -> None:
        self._print(_heading(step.origin.time, "dead letter", "", step.origin))
        self._line("because", f"{step.reason}: {step.detail}", "red")
        self._line("value", step.value or "(none)", "dim")

    def _waiting(self, step: Waiting) -> None:
        which = "1 event waits" if step.records == 1 else f"{step.records:,} events wait"
        told = f"\n{which}, the first at {_place(step.origin)}: no worker has taken it. Does one run?"
        self._print(Text(told, "yellow"))

    def _line(self, label: str, told: str, style: str = "") -> None:
        # A grid, so that what does not fit a line goes on below its own beginning.
        grid = Table.grid(padding=0)
        grid.add_column(width=LABEL)
        grid.add_column(overflow="fold")
        grid.add_row(Text(f"  {label}", "dim"), Text(told, style))
        self._console.print(grid, highlight=False)

    def _print(self, text: Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _title(event: Event, origin: Origin) -> Text:
    return _heading(event.time, event.type, _names(tuple([item.item_id for item in event.items])), origin)


def _heading(at: int, what: str, about: str, origin: Origin) -> Text:
    clock = format_iso(at)[11:-1]
    return Text.assemble(
        f"\n{clock}  ", (what, "bold cyan"), " ", (about, "bold"), ("  " + _place(origin), "dim")
    )


def _place(origin: Origin) -> str:
    return f"{origin.topic}-{origin.partition} offset {origin.offset:,}"


def _session(state: StateChange) -> str:
    named = f", id {state.session_id}" if state.session_id else ""
    items = f"{state.session_items} item{'' if state.session_items == 1 else 's'}"
    lasting = f"{items} in {_duration(state.session_ms)}{named}"
    match state.session:
        case "begun":
            return f"begins{named}"
        case "continued":
            return f"goes on: {lasting}"
        case "untouched":
            return f"untouched, since too late or not the shopper's doing: {lasting}"


def _state(state: StateChange) -> str:
    told = [", ".join(f"{count:,} {name}" for name, count in state.counts.items())]
    if state.entered:
        told.append(f"{_names(state.entered)} entered")
    if state.left:
        told.append(f"{_names(state.left)} fell out")
    told.append(f"{len(state.open_slates)} slate{'' if len(state.open_slates) == 1 else 's'} open")
    if state.closed:
        told.append(f"{_names(state.closed)} closed")
    return "; ".join(filter(None, told))


def _reward(reward: Reward) -> str:
    worth = "" if reward.value is None else f", worth {reward.value:g} {reward.currency or ''}".rstrip()
    return (
        f"{reward.reward:g} for {reward.item_id} at place {reward.position} of {reward.slate_id}, "
        f"{_duration(round(1000 * reward.delay_seconds))} later{worth}; "
        f"propensity {reward.propensity:.4f}, policy {reward.policy} ({reward.policy_version})"
    )


def _rows(shown: Shown) -> list[Text]:
    """The top of a slate, two lines an item."""
    places = shown.change.places[:TOP]
    explained: tuple[Explanation | None, ...] = shown.why or (None,) * len(places)
    width = max(4, *(cell_len(place.item.item_id) for place in places))
    told = "why, as logged" + ("; because of whom, as the models are now" if shown.why else "")
    rows = [Text(f"  {'place':<{LABEL - 2}}{'item':<{width}}  score  propensity  {told}", "dim")]
    for place, each in zip(places, explained, strict=False):
        item = place.item
        moved = "" if shown.change.is_first else _move(place)
        row = Text(f"  {item.position:>2} ")
        row.append(f"{moved:<{LABEL - 5}}", "green" if place.before is None else "dim")
        row.append(set_cell_size(item.item_id, width), "bold")
        row.append(f"  {item.score:.3f}  {item.propensity:10.4f}  ")
        rows.append(row.append_text(reasons(item)))
        if each is not None:
            rows.append(Text(" " * LABEL + because(each), "dim"))
    if len(shown.change.places) > TOP:
        rows.append(Text(f"{' ' * LABEL}and {len(shown.change.places) - TOP} more", "dim"))
    return rows


def _move(place: Place) -> str:
    match move(place):
        case "entered":
            return "new"
        case "stayed":
            return "stays"
        case direction:
            return f"{direction} {abs((place.before or 0) - place.item.position)}"


def because(explanation: Explanation) -> str:
    """Those who speak for an item with the largest shares, in one line."""
    told = [(rule.share, f"{rule.item_id} (rule {rule.share:.2g})") for rule in explanation.rules]
    if explanation.session_count:
        sessions = f"{explanation.session_count} session{'' if explanation.session_count == 1 else 's'}"
        share = explanation.session_share
        told.append((share, f"{sessions} like this one ({share:.2g})"))
    told += [(hop.share, f"{hop.item_id} (two hops {hop.share:.2g})") for hop in explanation.two_hops]
    told += [(like.share, f"{like.item_id} (alike {like.share:.2g})") for like in explanation.alike]
    for where, popular in (
        ("popularity", explanation.popularity),
        ("its category", explanation.category),
        ("this hour", explanation.hour),
    ):
        if popular is not None:
            told.append((popular.share, f"{where} number {popular.rank} ({popular.share:.2g})"))
    if explanation.history is not None:
        own = explanation.history
        told.append((own.share, f"own earlier item {own.steps_back} back ({own.share:.2g})"))
    told = sorted((pair for pair in told if pair[0] > 0), key=lambda pair: -pair[0])
    if not told:
        return "nobody speaks for it now"
    rest = f" and {len(told) - NEIGHBOURS} more" if len(told) > NEIGHBOURS else ""
    return f"because of {', '.join(text for _, text in told[:NEIGHBOURS])}{rest}"


def _names(names: tuple[str, ...]) -> str:
    rest = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + rest


def _duration(milliseconds: int) -> str:
    """A duration in its largest fitting unit; milliseconds below a second, either sign."""
    if abs(milliseconds) < 1000:
        return f"{milliseconds} ms"
    if abs(milliseconds) < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    return age(milliseconds) if milliseconds > 0 else f"-{age(-milliseconds)}"
