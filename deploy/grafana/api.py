"""API: what is asked over HTTP, how fast it is answered, what is refused, and what the process holds."""

from typing import Final

from deploy.grafana.panels import Board, Chart, Query, Row, Variable, quantile, quantiles, rate

API_INSTANCE: Final = Variable("instance", "API", "freshslate_api_store_users")
_IT: Final = 'instance=~"$instance"'
_REQUESTS: Final = "freshslate_api_requests_total"
_SECONDS: Final = "freshslate_api_request_seconds"
_CALLS: Final = f'{_IT}, route!~"healthz|readyz|metrics"'
_FAULTS: Final = f'{_CALLS}, status=~"5.."'


def _each(metric: str) -> tuple[Query, ...]:
    return (Query(f"freshslate_api_{metric}{{{_IT}}}", "{{instance}}"),)


_ASKED: Final = (
    Chart(
        "Requests",
        "Answered a second, by call.",
        "ops",
        (Query(rate(_REQUESTS, "route", _IT), "{{route}}"),),
        "stacked",
    ),
    Chart(
        "Answers",
        "By HTTP status, a second.",
        "ops",
        (Query(rate(_REQUESTS, "status", _IT), "{{status}}"),),
        "stacked",
    ),
    Chart(
        "Faults",
        "Share of calls that were answered with 5xx, probes and scrapes left out: 503 is Kafka that does not "
        "acknowledge, or too much that waits for it.",
        "percentunit",
        (Query(f"({rate(_REQUESTS, '', _FAULTS)} or vector(0)) / {rate(_REQUESTS, '', _CALLS)}", "5xx"),),
        alert="FreshslateApiFaults",
        limits=(0.05,),
    ),
    Chart(
        "APIs that answer",
        "1 for each process that Prometheus can scrape, 0 for one that it cannot.",
        "short",
        (Query(f'up{{job="freshslate-api", {_IT}}}', "{{instance}}"),),
        alert="FreshslateApiDown",
    ),
)

_TIME: Final = (
    Chart(
        "Time to answer",
        "99th percentile by call; a stream's is that of its beginning.",
        "s",
        (Query(quantile(0.99, _SECONDS, "route", _IT), "{{route}}"),),
    ),
    Chart(
        "A slate from the store",
        "Time that GET /v1/slates takes.",
        "s",
        quantiles(_SECONDS, f'{_IT}, route="get_slate"', (0.5, 0.9, 0.99)),
        alert="FreshslateApiSlow",
        limits=(0.05,),
    ),
    Chart(
        "Event to its own slate",
        "Of POST /v1/recommend, where the slate of the request's event came in time.",
        "s",
        quantiles("freshslate_api_recommend_seconds", _IT, (0.5, 0.9, 0.99)),
    ),
)

_TAKEN: Final = (
    Chart(
        "Events",
        "Acknowledged by the brokers, a second.",
        "ops",
        (Query(rate("freshslate_api_events_total", "instance", _IT), "{{instance}}"),),
    ),
    Chart(
        "Events refused",
        "A second, by reason; not_written is Kafka that did not acknowledge in time.",
        "ops",
        (Query(rate("freshslate_api_events_refused_total", "reason", _IT), "{{reason}}"),),
    ),
    Chart("Events that wait", "For the brokers' acknowledgement.", "short", _each("waiting_events")),
    Chart(
        "Catalogue",
        "Items written or withdrawn, a second.",
        "ops",
        (Query(rate("freshslate_api_items_total", "instance", _IT), "{{instance}}"),),
    ),
    Chart(
        "Items refused",
        "A second, by reason; not_written is Kafka that did not acknowledge in time.",
        "ops",
        (Query(rate("freshslate_api_items_refused_total", "reason", _IT), "{{reason}}"),),
    ),
)

_SHOWN: Final = (
    Chart(
        "Slates shown",
        "A second: the user's own latest, the fresh one of the request's event, or a popular one for a user "
        "without any.",
        "ops",
        (Query(rate("freshslate_api_slates_total", "kind", _IT), "{{kind}}"),),
        "stacked",
    ),
    Chart("Streams", "Streams of slates that are read.", "short", _each("streams")),
    Chart(
        "Slates behind",
        "Offsets of slates that the store has not read yet.",
        "short",
        _each("store_lag_records"),
        alert="FreshslateApiBehind",
    ),
    Chart(
        "Slates behind in seconds",
        "The same over the slates that workers publish a second.",
        "s",
        (Query(f"freshslate:api_store_lag:seconds{{{_IT}}}", "{{instance}}"),),
        alert="FreshslateApiBehind",
        limits=(30.0,),
    ),
)

_HELD: Final = (
    Chart("Users in the store", "Whose latest slates are kept.", "short", _each("store_users")),
    Chart("Bytes of the store", "What these slates take, about.", "bytes", _each("store_bytes")),
    Chart(
        "Users who had to go",
        "For lack of room (FRESHSLATE_API_STORE_BYTES), within an hour; they get popular slates.",
        "short",
        (Query(f"increase(freshslate_api_store_evicted_total{{{_IT}}}[1h])", "{{instance}}"),),
    ),
    Chart(
        "Files refused",
        "Changed files of keys, business rules and policies that could not be followed, within an hour.",
        "short",
        (
            Query(f"increase(freshslate_api_keys_refused_total{{{_IT}}}[1h])", "keys, {{instance}}"),
            Query(f"increase(freshslate_rules_refused_total{{{_IT}}}[1h])", "rules, {{instance}}"),
            Query(f"increase(freshslate_policy_file_refused_total{{{_IT}}}[1h])", "policies, {{instance}}"),
        ),
    ),
    Chart(
        "Files in force",
        "Processes by the versions of their files of keys, business rules and policies.",
        "short",
        (
            Query(f"count by (version) (freshslate_api_keys{{{_IT}}})", "keys {{version}}"),
            Query(f"count by (version) (freshslate_rules_info{{{_IT}}})", "rules {{version}}"),
            Query(f"count by (version) (freshslate_policy_file_info{{{_IT}}})", "policies {{version}}"),
        ),
    ),
)

API: Final = Board(
    "api",
    "Freshslate: API",
    "What is asked over HTTP, how fast it is answered, what is refused, and what the processes hold.",
    (API_INSTANCE,),
    (
        Row("Requests", _ASKED),
        Row("Time", _TIME),
        Row("Events and items", _TAKEN),
        Row("Slates", _SHOWN),
        Row("Process", _HELD),
    ),
)
