"""`benchmarks/posterior.py` on a log small enough for a test."""

import io

from rich.console import Console

from benchmarks.posterior import arguments, run, show


def test_every_path_folds_and_the_table_shows_it(tmp_path) -> None:
    options = arguments(["--exposures", "4000", "--rounds", "1", "--json", str(tmp_path / "p.json")])
    report, printed = run(options), io.StringIO()
    show(report, options, Console(file=printed, width=140))
    assert len(report.rates) == 6
    for rate in report.rates:
        assert rate.lowest > 0
        assert f"{rate.rate:,.0f}" in printed.getvalue()
    assert (tmp_path / "p.json").exists()
    assert report.snapshot_mb > 1
