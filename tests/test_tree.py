"""Rules about the tree itself, which no other tool checks."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.coverage_by_mirror import PACKAGES, ROOT, mirrors, modules

LINES_PER_MODULE = 400
LINES_PER_TEST_MODULE = 600
LINES_PER_FUNCTION = 40
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".sh", ".cfg", ".txt", ""}
# Put together here so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:" + "|".join(["work", "root", "home"]) + r")/")
REGISTRY = re.compile(
    "|".join(rf"\b{host}\b" for host in (r"pypi\." + "org", r"pythonhosted\." + "org", "repo1?" + r"\.maven"))
)
UNFINISHED = re.compile(r"\b(?:" + "TO" + "DO|FIX" + "ME|XX" + r"X)\b")


def text_files() -> Iterator[Path]:
    """What is written by hand: no caches, no environment, no results."""
    folders = [*PACKAGES, "tests", "benchmarks", "docs", ".ci"]
    candidates = [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    for path in sorted(candidates):
        if path.is_file() and path.suffix in TEXT and not {"__pycache__", "results"} & set(path.parts):
            yield path.relative_to(ROOT)


def python_files() -> list[Path]:
    return [path for path in text_files() if path.suffix == ".py"]


def offences(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path in text_files()
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def listed(findings: list[str]) -> str:
    """All of them, a line each: pytest cuts long lists short."""
    return "\n".join(["", *findings])


def test_every_module_has_its_mirrored_test_file() -> None:
    without = [
        str(module) for module in modules() if not any((ROOT / path).exists() for path in mirrors(module))
    ]
    assert not without, listed(without)


def test_every_mirrored_test_file_has_its_module() -> None:
    expected = {path for module in modules() for path in mirrors(module)}
    tests = [path for path in python_files() if path.parts[0] == "tests" and path.parts[1] in PACKAGES]
    tests = [path for path in tests if path.name.startswith("test_") and path.name != "test_contract.py"]
    orphans = [str(path) for path in tests if path not in expected and not is_deployed(path)]
    assert not orphans, listed(orphans)


def is_deployed(test: Path) -> bool:
    """Whether a test mirrors something of deploy/ that is not Python: `rules.yml`, `Dockerfile`, a chart."""
    name = test.stem.removeprefix("test_")
    beside = (ROOT / Path(*test.parts[1:-1])).glob("*")
    return test.parts[1] == "deploy" and name in {path.stem.lower() for path in beside}


def test_an_init_file_holds_no_code_beyond_a_lazy_import() -> None:
    defining = [
        str(path)
        for path in python_files()
        if path.name == "__init__.py"
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name != "__getattr__"
    ]
    assert not defining, listed(defining)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_imported_from_this_tree(package: str) -> None:
    imported = importlib.import_module(package).__file__
    assert imported is not None
    assert Path(imported).resolve() == ROOT / package / "__init__.py"


def test_modules_stay_short() -> None:
    too_long = []
    for path in python_files():
        limit = LINES_PER_TEST_MODULE if path.parts[0] == "tests" else LINES_PER_MODULE
        lines = len((ROOT / path).read_text().splitlines())
        if lines > limit:
            too_long.append(f"{path}: {lines} lines, limit {limit}")
    assert not too_long, listed(too_long)


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    """Lines of the body, without its docstring, comments and blank lines."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body or function.end_lineno is None:
        return 0
    lines = (line.strip() for line in source[body[0].lineno - 1 : function.end_lineno])
    return sum(bool(line) and not line.startswith("#") for line in lines)


def test_functions_stay_short() -> None:
    too_long = []
    for path in python_files():
        if path.parts[0] not in PACKAGES:
            continue
        text = (ROOT / path).read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = code_lines(node, text.splitlines())
                if lines > LINES_PER_FUNCTION:
                    too_long.append(
                        f"{path}:{node.lineno} {node.name}: {lines} lines, limit {LINES_PER_FUNCTION}"
                    )
    assert not too_long, listed(too_long)


def test_code_lines_leave_out_docstring_comments_and_blank_lines() -> None:
    source = 'def f():\n    """What."""\n    # why\n    a = (\n        1\n    )\n\n    return a\n'
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert code_lines(function, source.splitlines()) == 4


def test_nothing_is_left_unfinished() -> None:
    found = offences(UNFINISHED)
    assert not found, listed(found)


def test_nothing_names_a_path_of_one_machine() -> None:
    found = offences(MACHINE_PATH)
    assert not found, listed(found)
    assert MACHINE_PATH.search("cd /" + "work/main")
    assert not MACHINE_PATH.search("https://example.org/" + "home/page")


def test_nothing_names_the_host_of_a_registry() -> None:
    found = offences(REGISTRY)
    assert not found, listed(found)
