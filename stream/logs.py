"""How lines are logged: for people, or as one JSON object each (`FRESHSLATE_LOG_FORMAT`).

Why python-json-logger: docs/decisions/logs.md. All loggers, those of libraries too, come to the one handler
of the root logger, so there is one format.
"""

import logging
import logging.config
import os
import socket
from typing import Any, Final

from stream.config import Settings

_PLAIN: Final = "%(asctime)s %(message)s"
_RENAMED: Final = {"levelname": "level", "name": "logger", "exc_info": "exception"}


def worker_name() -> str:
    """What this process is called in logs and on its pages: host and process id."""
    return f"{socket.gethostname()}-{os.getpid()}"


def json_config(level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: JSON lines on standard output, from this level on.

    A line has `time` (ISO 8601 in UTC), `level`, `logger`, `message`, `worker`; `exception` with its
    traceback where there is one; and what the caller passes as `extra`: `partitions`, `generation`.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": ["levelname", "name", "message"],
                "rename_fields": _RENAMED,
                "timestamp": "time",
                "static_fields": {"worker": worker_name()},
            }
        },
        "handlers": {
            "default": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "level": level.upper(),
            }
        },
        "root": {"level": level.upper(), "handlers": ["default"]},
    }


def faust_config(settings: Settings) -> dict[str, Any] | None:
    """What faust's own worker configures its logging by; None is its own format, for people."""
    return json_config(settings.log_level) if settings.log_format == "json" else None


def set_up(settings: Settings) -> None:
    """Log in a process that is no worker of faust's."""
    if settings.log_format == "json":
        logging.config.dictConfig(json_config(settings.log_level))
    else:
        logging.basicConfig(level=settings.log_level.upper(), format=_PLAIN)
