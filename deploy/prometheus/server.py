"""A Prometheus of our own: real scrapes, real rules, on a free port of this machine, gone when we are."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from deploy.prometheus.binary import program

RULES: Final = Path(__file__).with_name("rules.yml")
SUPERVISOR: Final = Path(__file__).parents[2] / "stream" / "supervisor.py"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 10.0
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
# What is a duration in a rules file: a window, an offset, a wait, the time between two evaluations.
_DURATION: Final = re.compile(
    r"(?P<before>\[|\boffset |\bfor: |\binterval: )(?P<number>\d+)(?P<unit>ms|[smhd])\b"
)
_AHEAD: Final = re.compile(r"(?P<before>predict_linear\([^,]+, )(?P<hours>\d+) \* 3600")


class PrometheusError(Exception):
    """Prometheus did not start, or refuses a query."""


class Prometheus:
    """Runs for as long as the block lasts.

    Args:
        folder: for its configuration, its data and its log.
        rules: of alerts and records.
        scrape_seconds: between two scrapes of a target.
        evaluation_seconds: between two evaluations of a group of rules that does not say.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: Path = RULES,
        scrape_seconds: float = 1.0,
        evaluation_seconds: float = 1.0,
    ) -> None:
        self._folder = folder
        self._targets = folder / "targets.json"
        self._log = folder / "prometheus.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.targets({})
        config = _config(self._targets, rules, scrape_seconds, evaluation_seconds)
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config, indent=2))
        self.url: Final = f"http://127.0.0.1:{_free_port()}"

    def targets(self, by_job: Mapping[str, Sequence[str]]) -> None:
        """Say what is scraped from now on: addresses `host:port`, by job."""
        groups = [{"targets": list(found), "labels": {"job": job}} for job, found in by_job.items()]
        text = json.dumps(groups)
        if self._targets.exists() and self._targets.read_text() == text:
            return
        # Prometheus looks whenever the file changes: it must not see half of one.
        new = self._targets.with_suffix(".new")
        new.write_text(text)
        new.rename(self._targets)

    def __enter__(self) -> Self:
        command = [
            str(program("prometheus")),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        with self._log.open("wb") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), "", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._supervisor.poll() is not None or time.monotonic() > deadline:
                self._stop()
                message = f"Prometheus did not start: {self._log.read_text()[-2000:]}"
                raise PrometheusError(message)
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def get(self, page: str, **parameters: str) -> Any:
        """The data that a page of Prometheus' API answers; see `get`."""
        return get(self.url, page, **parameters)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now: a list of samples, each with `metric` and `value`."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        found: list[dict[str, Any]] = data["result"]
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        alerts = self.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=ANSWER_SECONDS):
                return True
        except OSError:
            return False

    def _stop(self) -> None:
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.close()
        try:
            self._supervisor.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()


def get(url: str, page: str, **parameters: str) -> Any:
    """The data that a page of a Prometheus' API answers.

    Args:
        url: of the Prometheus.
        page: behind `/api/v1/`.
        parameters: of the page.

    Raises:
        PrometheusError: it refuses, with its reason, or does not answer.
    """
    question = f"{url}/api/v1/{page}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(question, timeout=ANSWER_SECONDS) as response:
            return json.load(response)["data"]
    except urllib.error.HTTPError as error:
        with error:
            message = f"{page} {parameters}: {error.read().decode(errors='replace')[:500]}"
        raise PrometheusError(message) from None
    except OSError as error:
        message = f"no Prometheus answers at {url}: {error}"
        raise PrometheusError(message) from None


def faster(rules: str, speed: float) -> str:
    """A rules file in which every window, offset, wait and interval is shorter by this factor.

    So is how far `predict_linear` looks ahead. Numbers that a rule compares with stay: 60 s behind is 60 s
    behind.

    Examples:
        >>> faster("expr: rate(a[5m] offset 1h) > 60", 10)
        'expr: rate(a[30s] offset 360s) > 60'
        >>> faster("for: 1m", 16)
        'for: 3750ms'
        >>> faster("predict_linear(a[1h], 4 * 3600) < 0", 10)
        'predict_linear(a[360s], 1440) < 0'
    """

    def shorter(found: re.Match[str]) -> str:
        milliseconds = round(int(found["number"]) * _SECONDS[found["unit"]] * 1000 / speed)
        whole = milliseconds % 1000 == 0
        return f"{found['before']}{milliseconds // 1000}s" if whole else f"{found['before']}{milliseconds}ms"

    def nearer(found: re.Match[str]) -> str:
        return f"{found['before']}{int(found['hours']) * 3600 / speed:g}"

    return _DURATION.sub(shorter, _AHEAD.sub(nearer, rules))


def _config(targets: Path, rules: Path, scrape_seconds: float, evaluation_seconds: float) -> dict[str, Any]:
    return {
        "global": {
            "scrape_interval": f"{round(scrape_seconds * 1000)}ms",
            "scrape_timeout": f"{round(scrape_seconds * 1000)}ms",
            "evaluation_interval": f"{round(evaluation_seconds * 1000)}ms",
        },
        "rule_files": [str(rules.resolve())],
        "scrape_configs": [
            {
                "job_name": "freshslate",
                "file_sd_configs": [{"files": [str(targets.resolve())], "refresh_interval": "1s"}],
            }
        ],
    }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
