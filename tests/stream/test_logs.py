import json
import logging
import logging.config
import subprocess
import sys

import pytest

from stream.config import Settings
from stream.logs import faust_config, json_config, set_up, worker_name

RUN = """
import logging, sys
from stream.config import load_settings
from stream.logs import set_up
set_up(load_settings())
logging.getLogger("aiokafka.conn").warning("away: %s", "b:1")
logging.getLogger("stream.loop").info("assigned", extra={"partitions": [1, 2], "generation": 7})
logging.getLogger("stream.loop").debug("not this one")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("mode").exception("two\\nlines")
"""


def printed(monkeypatch, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


def test_every_line_of_every_logger_is_one_object(monkeypatch):
    out, err = printed(monkeypatch, FRESHSLATE_LOG_FORMAT="json")
    assert err == ""
    first, second, third = map(json.loads, out.splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("WARNING", "aiokafka.conn", "away: b:1")
    assert first.keys() == {"time", "level", "logger", "message", "worker"}
    assert first["time"].endswith("+00:00")
    assert (second["partitions"], second["generation"]) == ([1, 2], 7)
    assert third["message"] == "two\nlines"
    assert third["exception"].endswith("ZeroDivisionError: division by zero")
    assert len({line["worker"] for line in (first, second, third)}) == 1


def test_people_get_lines_of_text_unless_told_otherwise(monkeypatch):
    _, err = printed(monkeypatch)
    lines = err.splitlines()
    assert lines[0].endswith("away: b:1")
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_level_holds_for_json_too(monkeypatch):
    out, _ = printed(monkeypatch, FRESHSLATE_LOG_FORMAT="json", FRESHSLATE_LOG_LEVEL="error")
    assert [json.loads(line)["logger"] for line in out.splitlines()] == ["mode"]


def test_a_worker_of_fausts_logs_by_the_same_configuration():
    assert faust_config(Settings()) is None
    assert faust_config(Settings(log_format="json")) == json_config("info")


def test_the_name_in_the_log_is_that_of_the_pages():
    formatter = json_config("info")["formatters"]["json"]
    assert formatter["static_fields"] == {"worker": worker_name()}


@pytest.fixture
def root():
    """The root logger, as it was, afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield logging.root
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_setting_up_for_people_leaves_a_handler_that_is_there_alone(root):
    before = root.handlers[:]
    set_up(Settings())
    assert root.handlers == before
