"""Settings of those who run workers: what is listened on, what is logged, when a worker is unwell."""

from typing import Literal

from pydantic import BaseModel, SecretStr

from stream.setting_types import FaultPoint, setting


class OperatorSettings(BaseModel):
    """Settings that change nothing of what is decided."""

    worker_port: int = setting(
        6066,
        "port",
        "Where a worker serves /metrics, /healthz, /readyz and /debug; where it is taken, the next free one. "
        "0: any.",
        ge=0,
        le=65_535,
    )
    worker_host: str = setting(
        "127.0.0.1", "address", "What worker_port listens on; 0.0.0.0 is every network."
    )
    http_token: SecretStr | None = setting(
        None,
        "secret",
        "What a request to /debug/users has to bring (Authorization: Bearer ...), at least 16 characters. "
        "Unset: nobody is shown a user's data.",
        min_length=16,
    )
    canary_seconds: float = setting(
        5.0,
        "s",
        "Time between two heartbeats of a partition: events that the worker sends itself, through everything "
        "up to a slate (docs/operations.md). 0: none.",
        ge=0,
    )
    stall_seconds: float = setting(
        60.0, "s", "A worker that has input waiting and commits nothing for so long is unhealthy.", gt=0
    )
    stop_seconds: float = setting(
        20.0,
        "s",
        "A worker that is told to stop and waits for so long, for a broker or for a restore, ends "
        "nonetheless, with exit code 143 (docs/operations.md). Orchestrators have to give it more.",
        gt=0,
        le=55,
    )
    lag_poll_seconds: float = setting(
        5.0, "s", "Time between two looks at how far the input topics reach.", gt=0
    )
    monitor_port: int = setting(
        6166,
        "port",
        "Where freshslate monitor serves /metrics and /healthz, on worker_host; where it is taken, the next "
        "free one. 0: any.",
        ge=0,
        le=65_535,
    )
    monitor_wait_seconds: int = setting(
        1800, "s", "How long the monitor waits for feedback, in event time, before a slate counts.", ge=1
    )
    monitor_slates: int = setting(
        100_000,
        "slates",
        "Slates that wait in the monitor at once, some 4 KB each; where there are more, it follows half of "
        "the users.",
        ge=100,
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "", "Least severe line to log.")
    log_format: Literal["human", "json"] = setting(
        "human", "", "How lines are logged: for people, or as one JSON object each."
    )
    fault_point: FaultPoint = setting(
        None,
        "point@n",
        "For tests and drills alone: SIGKILL of this worker the nth time it gets to that point; SIGSTOP with "
        ":stop behind it.",
    )
