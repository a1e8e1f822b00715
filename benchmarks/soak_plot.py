"""The picture of a soak: a panel a measure over time."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.soak import WARM_UP_SHARE, Report

PANELS: Final = (
    ("worker memory, MB", ("resident_mb",)),
    ("open files", ("files",)),
    ("lag, events", ("lag",)),
    ("event to slate, ms", ("p50_ms", "p99_ms")),
)
NAMES: Final = {"p50_ms": "p50", "p99_ms": "p99"}


def plot(report: Report, file: Path) -> None:
    """Draw the samples into a PNG; the shaded part is left out of the judgement."""
    mpl.use("Agg")
    minutes = [sample.seconds / 60 for sample in report.samples]
    figure, axes = plt.subplots(len(PANELS), 1, sharex=True, figsize=(9, 9), layout="constrained")
    for axis, (title, names) in zip(axes, PANELS, strict=True):
        for name in names:
            axis.plot(minutes, [getattr(each, name) for each in report.samples], label=NAMES.get(name, ""))
        axis.set_ylabel(title)
        axis.set_ylim(0, 1.08 * axis.dataLim.y1)
        axis.axvspan(0, WARM_UP_SHARE * minutes[-1], alpha=0.08, color="black", linewidth=0)
        axis.grid(visible=True, alpha=0.3)
        if len(names) > 1:
            axis.legend(loc="upper right")
    axes[-1].set_xlabel("minutes")
    axes[0].set_title(f"one worker, exactly once, {report.rate:,.0f} events/s", loc="left")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    plt.close(figure)
