"""What a drill found."""

from typing import Any

from msgspec import Struct

from stream.audit import Report
from stream.model_audit import ModelReport


class Done(Struct, kw_only=True):
    """One fault that was done."""

    fault: str
    what: str
    """What was done, and to whom."""
    at_seconds: float
    """Since the faults began."""
    took_seconds: float
    """How long doing it took."""
    flowed_after_seconds: float | None
    """From there until slates flowed again for all partitions; None where they did not."""
    broken_promise: str | None = None
    """What a worker did, or did not do, against docs/operations.md."""

    @property
    def is_good(self) -> bool:
        """Whether the workers did as promised, and slates flowed again."""
        return self.broken_promise is None and self.flowed_after_seconds is not None


class DrillResult(Struct, kw_only=True):
    """All of it; written as JSON."""

    is_good: bool
    """Whether nothing at all is wrong."""
    faults: int
    events: int
    """Records that the broker acknowledged to the load."""
    lost: int
    duplicated: int
    """Slates that came twice, and records that two cycles took."""
    profiles_compared: int
    profiles_different: int
    models_compared: int
    models_different: int
    longest_gap_seconds: float
    """Longest time that a partition had input waiting and got no cycle committed."""
    crashes: list[str]
    """Workers that ended and should not have."""
    done: list[Done]
    workers: int
    rate: float
    seconds: float
    seed: int
    processing_guarantee: str
    audit: dict[str, Any]
    models: dict[str, Any]
    version: str


def wrongs(done: list[Done], crashes: list[str], sent: int, audit: Report, models: ModelReport) -> list[str]:
    """What is wrong, a line each; empty after a good drill."""
    lines = [f"{each.fault}: {each.broken_promise}" for each in done if each.broken_promise]
    lines += [f"{each.fault}: no slates afterwards" for each in done if each.flowed_after_seconds is None]
    lines += crashes
    if audit.records != sent:
        lines.append(f"the broker acknowledged {sent} records and has {audit.records}")
    if not audit.is_clean:
        lines.append(f"the audit is not clean: {audit}")
    if not models.models_compared:
        lines.append("no worker left a snapshot of its models")
    return lines + models.differences
