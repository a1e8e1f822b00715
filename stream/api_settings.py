"""Settings of the HTTP API: where it listens, whom it knows, and what it takes at most."""

from pathlib import Path

from pydantic import BaseModel

from stream.setting_types import CommaList, setting


class ApiSettings(BaseModel):
    """Settings of `freshslate api`; workers read none of them."""

    api_host: str = setting(
        "127.0.0.1",
        "address",
        "What the HTTP API listens on. Anything but this machine alone needs api_keys_file.",
    )
    api_port: int = setting(
        8080,
        "port",
        "Where the HTTP API listens; where it is taken, the next free one. 0: any.",
        ge=0,
        le=65_535,
    )
    api_keys_file: Path | None = setting(
        None,
        "path",
        "TOML file of the keys that requests bring, hashed, with tenant and rights (docs/http.md); it is "
        "watched. Unset: whoever reaches the port may do everything.",
    )
    api_rate: float = setting(
        1000.0, "requests/s", "Most requests of one key, on average; a second's worth may come at once.", gt=0
    )
    api_body_bytes: int = setting(4 << 20, "bytes", "Largest body of a request.", ge=1024)
    api_batch_events: int = setting(1000, "events", "Most events, or items, in one request.", ge=1)
    api_waiting_events: int = setting(
        10_000,
        "events",
        "Events that may wait for the broker at once; beyond, requests are answered with 503.",
        ge=1,
    )
    api_ack_seconds: float = setting(
        5.0, "s", "How long a request waits for the broker to have its events.", gt=0
    )
    api_wait_seconds: float = setting(
        0.5,
        "s",
        "How long /v1/recommend waits for the slate of its event, where the request says nothing.",
        gt=0,
    )
    api_store_bytes: int = setting(
        512 << 20,
        "bytes",
        "Latest slates that the API keeps, some 4 KB each; beyond, users without a new slate for the longest "
        "time are answered as unknown ones.",
        ge=1 << 20,
    )
    api_store_seconds: int = setting(86_400, "s", "How far back the API reads slates when it starts.", ge=0)
    api_reads: int = setting(
        2,
        "requests",
        "Requests that may read the log at once: a user's timeline, why a slate, forgetting, dead letters, "
        "judging a policy; beyond, they are answered with 503.",
        ge=1,
    )
    api_read_seconds: float = setting(
        20.0, "s", "How long such a request may read; then it is answered with 504.", gt=0
    )
    api_items: int = setting(
        200_000,
        "items",
        "Most items of the catalogue that the API keeps for GET /v1/items and the console, some 1 KB each.",
        ge=0,
    )
    api_cors_origins: CommaList = setting(
        (), "origins", "Web pages that browsers may call the API from, such as https://shop.example."
    )
