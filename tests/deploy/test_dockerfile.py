import fnmatch
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stream.config import Settings
from stream.environment import env_name
from tests.coverage_by_mirror import ROOT
from tests.deploy import programs

DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, with lines that go on joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.strip().partition(" ") for line in lines) if name]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def the(stage: list[tuple[str, str]], name: str) -> str:
    """The one instruction of that name."""
    (found,) = (rest for each, rest in stage if each == name)
    return found


def environment(stage: list[tuple[str, str]]) -> dict[str, str]:
    pairs = (pair for name, rest in stage if name == "ENV" for pair in rest.split())
    return {name: value.strip('"') for name, _, value in (pair.partition("=") for pair in pairs)}


def test_hadolint_finds_nothing() -> None:
    done = programs.run(programs.hadolint(), "--no-color", DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_base_is_one_version_of_python_in_both_stages() -> None:
    name, version = instructions()[0][1].split("=")
    assert (name, bool(re.fullmatch(r"3\.\d+\.\d+-slim-\w+", version))) == ("PYTHON", True)
    assert [the(stage, "FROM").split()[0] for stage in stages()] == ["python:${PYTHON}"] * 2


def test_the_final_stage_installs_nothing_and_runs_as_nobody() -> None:
    _, final = stages()
    runs = [rest for name, rest in final if name == "RUN"]
    assert not [run for run in runs if re.search(r"\b(pip|apt|apt-get|gcc|curl)\b", run)]
    user, group = the(final, "USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert f"-o {user} -g {group} {environment(final)['FRESHSLATE_DATA_DIR']}" in " ".join(runs)


def test_signals_reach_the_worker_and_the_health_check_needs_no_shell() -> None:
    _, final = stages()
    assert json.loads(the(final, "ENTRYPOINT")) == ["/opt/freshslate/entrypoint.sh"]
    assert json.loads(the(final, "CMD")) == ["worker"]
    assert the(final, "STOPSIGNAL") == "SIGTERM"
    program, *_, script = json.loads(the(final, "HEALTHCHECK").split("CMD ")[1])
    assert (program, script) == ("/opt/freshslate/bin/python", "/opt/freshslate/healthcheck.py")
    ports = {str(Settings.model_fields[name].default) for name in ("worker_port", "monitor_port", "api_port")}
    assert set(the(final, "EXPOSE").split()) == ports


def test_kernels_are_compiled_for_the_processor_that_the_container_says_it_has() -> None:
    build, final = (environment(stage) for stage in stages())
    names = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    assert [build[name] for name in names] == [final[name] for name in names] == ["${KERNEL_CPU}", ""]
    defaults = {rest for name, rest in instructions() if name == "ARG" and rest.startswith("KERNEL_CPU")}
    assert len(defaults) == 1
    assert build["NUMBA_CACHE_DIR"] == "/opt/freshslate/kernels"
    assert final["NUMBA_CACHE_DIR"].startswith("/tmp/")


def test_every_variable_of_ours_is_a_setting() -> None:
    ours = {name for stage in stages() for name in environment(stage) if name.startswith("FRESHSLATE_")}
    assert ours
    assert ours <= set(map(env_name, Settings.model_fields))


def test_what_is_copied_is_there_and_let_through_and_nothing_else_is() -> None:
    copied = {
        source.rstrip("/") for name, rest in stages()[0] if name == "COPY" for source in rest.split()[:-1]
    }
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert not [source for source in copied if not (ROOT / source).exists()]
    left_out = [line for line in lines[2:] if line and line[0] not in "!#"]
    assert all(
        any(fnmatch.fnmatch(f"state/{name}", each) for each in left_out) for name in ("__pycache__", "a.nbi")
    )


def pins() -> dict[str, str]:
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def installed() -> list[Requirement]:
    """What the build stage asks pip for, beside freshslate itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = (rest.split("=")[1] for name, rest in instructions() if rest.startswith("EXTRAS"))
    extra = project["optional-dependencies"]
    assert "kafka" not in extras
    return [
        Requirement(each)
        for each in (*project["dependencies"], *(each for name in extras.split(",") for each in extra[name]))
    ]


def test_every_dependency_is_pinned_to_a_version_that_the_project_allows() -> None:
    pinned = pins()
    assert {"starlette", "uvicorn", "river"} <= {each.name for each in installed()}
    assert not [
        each
        for each in installed()
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"))
    ]


def test_what_dependencies_need_in_turn_is_pinned_too() -> None:
    pinned = pins()
    full = instructions()[0][1].split("=")[1].split("-")[0]
    python = {"python_version": full.rpartition(".")[0], "python_full_version": full}
    left, seen = installed(), set[str]()
    while left:
        needed = left.pop()
        name = canonicalize_name(needed.name)
        assert name in pinned, name
        try:
            same = version(name) == pinned[name]
        except PackageNotFoundError:
            same = False
        # Another version may need others.
        if same and name not in seen:
            left += [
                each
                for each in map(Requirement, requires(name) or ())
                if each.marker is None
                or any(each.marker.evaluate({**python, "extra": extra}) for extra in ("", *needed.extras))
            ]
        seen.add(name)
    assert {"anyio", "h11"} <= pinned.keys()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder like /opt/freshslate, whose `freshslate` says what it was called with and runs a kernel."""
    folder = tmp_path / "opt"
    (folder / "bin").mkdir(parents=True)
    (folder / "entrypoint.sh").write_text((DEPLOY / "entrypoint.sh").read_text())
    (folder / "entrypoint.sh").chmod(0o755)
    program = folder / "bin" / "freshslate"
    program.write_text(
        f"#!{sys.executable}\n"
        + textwrap.dedent("""
        import json, sys
        import numba.core.config
        sys.path.insert(0, sys.path[0] + "/..")
        from double import double
        double(1.0)
        hits = sum(double.stats.cache_hits.values())
        print(json.dumps({"args": sys.argv[1:], "hits": hits, "cpu": numba.core.config.CPU_NAME}))
        sys.exit(3)
        """)
    )
    program.chmod(0o755)
    (folder / "double.py").write_text(
        "from state.kernel import kernel\n\n@kernel\ndef double(x):\n    return 2 * x\n"
    )
    return folder


def test_the_entrypoint_runs_kernels_compiled_in_a_folder_that_may_not_be_written(
    image: Path, tmp_path: Path
) -> None:
    environ = {
        **os.environ,
        "PATH": f"{image / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NUMBA_CPU_NAME": "x86-64-v3" if os.uname().machine == "x86_64" else "generic",
        "NUMBA_CPU_FEATURES": "",
    }

    def start(cache: Path) -> dict[str, object]:
        done = subprocess.run(
            [image / "entrypoint.sh", "worker", "a b"],
            env={**environ, "NUMBA_CACHE_DIR": str(cache)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3, done.stderr
        told: dict[str, object] = json.loads(done.stdout)
        assert told["args"] == ["worker", "a b"]
        return told

    compiled = image / "kernels"
    assert start(compiled)["hits"] == 0
    for path in [*compiled.rglob("*"), compiled]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for _ in range(2):  # a container that is restarted finds the links of its first start
        assert start(tmp_path / "links")["hits"] == 1
    assert all(path.is_symlink() for path in (tmp_path / "links").rglob("*.nb?"))
