"""Coverage of each module by its own tests only: `a/b.py` by `tests/a/test_b.py` and `tests/kafka/test_b.py`.

A line that some other test happens to run is not counted, so the number says where tests are missing. Two
uses: a pytest plugin that notes which test file is running (`-p tests.coverage_by_mirror`), and, after
`coverage run`, the report: `python -m tests.coverage_by_mirror [--at-least PERCENT]`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("state", "stream", "agents", "deploy")
AT_IMPORT = ""
"""Coverage's name for what runs outside any test: definitions, when a module is imported."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note the test's file, not its name: fixtures, tasks and threads of the test count for it."""
    running = coverage.Coverage.current()
    if running is not None:
        running.switch_context(item.path.relative_to(ROOT).as_posix())
    return (yield)


def modules() -> list[Path]:
    """Every module that must have a mirrored test file, relative to the root; `__init__.py` holds no code."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found if path.name != "__init__.py")


def mirrors(module: Path) -> list[Path]:
    """Where the tests of a module may be, the one without a broker first."""
    mirrored = Path("tests", *module.parts[:-1], f"test_{module.name}")
    return [mirrored, Path("tests", "kafka", f"test_{module.name}")]


def covered_percent(measured: coverage.Coverage, module: Path) -> float:
    """The share of the module's statements that ran in its own tests, in percent."""
    _, statements, _, _, _ = measured.analysis2(str(ROOT / module))
    own = [path.as_posix() for path in (module, *mirrors(module))]  # the module itself: its doctests
    data = measured.get_data()
    data.set_query_contexts([f"^{context}$" for context in (AT_IMPORT, *own)])
    ran = set(data.lines(str(ROOT / module)) or ())
    return 100.0 * len(ran & set(statements)) / len(statements) if statements else 100.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Coverage of each module by its own test file.")
    parser.add_argument("--at-least", type=float, default=80.0, metavar="PERCENT", help="per module (80)")
    at_least = parser.parse_args().at_least
    measured = coverage.Coverage()
    measured.load()
    percents = sorted((covered_percent(measured, module), module) for module in modules())
    for percent, module in percents:
        print(f"{percent:5.0f} %  {module}{'' if percent >= at_least else '   below'}")
    below = sum(percent < at_least for percent, _ in percents)
    print(f"{len(percents)} modules, {below} covered less than {at_least:.0f} % by their own tests")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
