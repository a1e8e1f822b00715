"""Programs that the tests of deploy/ need; fetched once, and a loud skip where that cannot be done."""

from pathlib import Path

import pytest

from deploy.prometheus.binary import ToolMissing, program


def tool(name: str) -> Path:
    """The path of `prometheus` or `promtool`; skips the test, with the reason, where there is none."""
    try:
        return program(name)
    except ToolMissing as missing:
        pytest.skip(f"NOT TESTED, {name} is missing: {missing}")
