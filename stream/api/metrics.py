"""Every metric of the HTTP API: declared once, here, as a worker's are in `stream/worker_metrics.py`."""

from typing import Final

from stream.metrics import Metric, counter, gauge, histogram, info
from stream.worker_metrics import POLICY_FILE_INFO, POLICY_FILE_REFUSED, RULES_INFO, RULES_REFUSED

LATENCY: Final = (
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.007,
    0.01,
    0.02,
    0.03,
    0.05,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
)

REQUESTS: Final = counter(
    "api_requests",
    "requests",
    "Requests answered; `route` is one of the API's own or `none`.",
    "route",
    "status",
)
REQUEST_SECONDS: Final = histogram(
    "api_request_seconds",
    "seconds",
    LATENCY,
    "From the request's headers to those of the answer.",
    "route",
)
EVENTS: Final = counter("api_events", "events", "Events that the brokers have acknowledged.")
REFUSED: Final = counter(
    "api_events_refused",
    "events",
    "Events that were not taken, by reason: those of dead letters, `wrong_tenant`, `missing_right`, and "
    "`not_written` where Kafka did not acknowledge in time.",
    "reason",
)
ITEMS: Final = counter("api_items", "items", "Catalogue items written or withdrawn.")
ITEMS_REFUSED: Final = counter(
    "api_items_refused",
    "items",
    "Catalogue items that were not taken, by reason: those of a refused item, and `not_written`.",
    "reason",
)
SERVED: Final = counter(
    "api_slates",
    "slates",
    "Slates shown: `own` is the user's latest, `fresh` the one that answers the request's own event, "
    "`popular` one for a user without any.",
    "kind",
)
EVENT_TO_SLATE: Final = histogram(
    "api_recommend_seconds",
    "seconds",
    LATENCY,
    "Of /v1/recommend, from the request to the slate of its own event.",
)
WAITING: Final = gauge("api_waiting_events", "events", "Events that wait for the brokers.")
STORE_USERS: Final = gauge("api_store_users", "users", "Users whose latest slates are kept.")
STORE_BYTES: Final = gauge("api_store_bytes", "bytes", "What these slates take, about.")
STORE_EVICTED: Final = counter("api_store_evicted", "users", "Users who had to go for lack of room.")
STORE_LAG: Final = gauge("api_store_lag_records", "records", "Offsets of `slates` that are not read yet.")
STREAMS: Final = gauge("api_streams", "streams", "Streams of slates that are read.")
KEYS_REFUSED: Final = counter(
    "api_keys_refused",
    "files",
    "Changed files of keys that could not be followed; those before stay in force.",
)
KEYS_INFO: Final = info("api_keys", "The keys in force.", "version")

API_METRICS: Final[tuple[Metric, ...]] = (
    REQUESTS,
    REQUEST_SECONDS,
    EVENTS,
    REFUSED,
    ITEMS,
    ITEMS_REFUSED,
    SERVED,
    EVENT_TO_SLATE,
    WAITING,
    STORE_USERS,
    STORE_BYTES,
    STORE_EVICTED,
    STORE_LAG,
    STREAMS,
    KEYS_REFUSED,
    KEYS_INFO,
)
FILE_METRICS: Final[tuple[Metric, ...]] = (
    RULES_REFUSED,
    RULES_INFO,
    POLICY_FILE_REFUSED,
    POLICY_FILE_INFO,
)
"""Of the files that workers follow too, under the same names."""
