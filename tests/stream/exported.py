"""A decision log in the layout of `freshslate export`."""

from pathlib import Path

from state.evaluation.decisions import Decisions
from stream.codecs import encode_reward, encode_slate
from stream.times import format_iso
from tests.state.evaluation.logged import DAY, rewards_of, slates_of


def export(decisions: Decisions, folder: Path, *, pools: bool = True) -> None:
    """Write slates and rewards of two days."""
    import pyarrow as pa
    from msgspec import UNSET
    from msgspec.structs import replace
    from pyarrow import parquet

    slates = slates_of(decisions)
    written = slates if pools else [replace(slate, pool=UNSET) for slate in slates]
    values = {
        "slates": [(slate.time, encode_slate(slate)) for slate in written],
        "rewards": [(reward.time, encode_reward(reward)) for reward in rewards_of(decisions, slates)],
    }
    for what, records in values.items():
        by_day: dict[str, list[bytes]] = {}
        for time, value in records:
            by_day.setdefault(format_iso(time)[:10], []).append(value)
        for day, rows in by_day.items():
            place = folder / what / f"day={day}"
            place.mkdir(parents=True, exist_ok=True)
            parquet.write_table(pa.table({"value": pa.array(rows, pa.binary())}), place / "part-0-0.parquet")


FIRST_DAY = format_iso(DAY)[:10]
AFTER = format_iso(DAY + 2 * 86_400_000)[:10]
