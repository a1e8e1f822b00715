import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.healthcheck import main


class Pages(BaseHTTPRequestHandler):
    """A worker's /healthz, and nothing else."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b'{"reasons": ["stalled: 5 records"]}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(sys, "argv", ["healthcheck"])
        monkeypatch.setenv("FRESHSLATE_WORKER_PORT", str(server.server_port))
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_worker_that_answers_200_is_healthy(port: int) -> None:
    assert main() == 0


def test_a_worker_that_answers_503_is_not_and_the_reasons_are_printed(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Pages, "status", 503)
    assert main() == 1
    assert "stalled: 5 records" in capsys.readouterr().out


def test_the_port_can_be_given_as_an_argument(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHSLATE_WORKER_PORT", "1")
    assert main() == 1
    monkeypatch.setattr(sys, "argv", ["healthcheck", str(port)])
    assert main() == 0
