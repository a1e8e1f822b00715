"""A decision log in the files of `freshslate export`, written by its own code."""

from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from state.evaluation.decisions import Decisions
from stream import arrow_rows
from stream.codecs import encode_reward, encode_slate
from stream.export import ROWS, _Writer
from stream.times import format_iso
from tests.state.evaluation.logged import DAY, rewards_of, slates_of
from tests.stream.records import record


def export(decisions: Decisions, folder: Path, *, pools: bool = True) -> None:
    """Write slates and rewards of two days."""
    slates = slates_of(decisions)
    written = slates if pools else [replace(slate, pool=UNSET) for slate in slates]
    values = {
        "slates": [(slate.time, encode_slate(slate)) for slate in written],
        "rewards": [(reward.time, encode_reward(reward)) for reward in rewards_of(decisions, slates)],
    }
    for what, kind in (("slates", arrow_rows.slates()), ("rewards", arrow_rows.rewards())):
        place = folder / what
        place.mkdir(parents=True)
        writer = _Writer(place, what, kind, ROWS)
        records = [
            record(value, offset, topic=what, time=time) for offset, (time, value) in enumerate(values[what])
        ]
        writer.add(0, records)
        writer.flush(0, len(records))


FIRST_DAY = format_iso(DAY)[:10]
AFTER = format_iso(DAY + 2 * 86_400_000)[:10]
