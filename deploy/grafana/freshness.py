"""Freshness: how soon a slate follows what the shopper did, and where the time goes."""

from typing import Final

from deploy.grafana.panels import FIRING, SCENARIO, Board, Chart, Query, Row, mean, quantile, quantiles, rate

_EVENT: Final = "freshslate_event_to_slate_seconds"
_RECORD: Final = "freshslate_record_to_slate_seconds"
_IT: Final = 'scenario=~"$scenario"'
_LATE: Final = "freshslate:late_slates:ratio_rate"
_LATE_OF_30_DAYS: Final = (
    f'1 - sum(increase({_RECORD}_bucket{{le="0.5"}}[30d])) / sum(increase({_RECORD}_count[30d]))'
)

_OBJECTIVE: Final = (
    Chart(
        "In time, last hour",
        "Share of slates that were committed within 0.5 s of their record. The objective is 99 %.",
        "percentunit",
        (Query(f"1 - {_LATE}1h", "in time"),),
        "number",
        "FreshslateFreshnessBurnFast",
    ),
    Chart(
        "Late in 30 days, of what may be",
        "Share of the error budget of 30 days that is used; at 100 % the objective is missed.",
        "percentunit",
        (Query(f"({_LATE_OF_30_DAYS}) / 0.01", "used"),),
        "number",
        "FreshslateFreshnessBurnSlow",
        (0.75, 1.0),
    ),
    Chart(
        "Event to slate, p50",
        "Median from the event's own time to the commit of the slate that answers it.",
        "s",
        (Query(quantile(0.5, _EVENT, where=_IT), "p50"),),
        "number",
    ),
    Chart(
        "Event to slate, p99",
        "99th percentile from the event's own time to the commit of the slate that answers it.",
        "s",
        (Query(quantile(0.99, _EVENT, where=_IT), "p99"),),
        "number",
    ),
    Chart(
        "Oldest heartbeat",
        "How long ago the partition that waits longest had its last heartbeat answered.",
        "s",
        (Query("max(freshslate:heartbeat_age:seconds)", "age"),),
        "number",
        "FreshslateHeartbeatMissing",
        (30.0, 60.0),
    ),
    Chart(
        "Alerts that fire",
        "How many alerts of Freshslate fire now.",
        "short",
        (Query(f"count({FIRING}) or vector(0)", "firing"),),
        "number",
        limits=(1.0, 3.0),
    ),
)

_BURN: Final = (
    Chart(
        "Burn rate of the error budget",
        "How many times faster than allowed slates come late, over four windows. 5m and 1h above 14.4 wake "
        "somebody, 30m and 6h above 6 make a ticket.",
        "short",
        tuple(Query(f"{_LATE}{window} / 0.01", window) for window in ("5m", "30m", "1h", "6h")),
        alert="FreshslateFreshnessBurnFast",
        limits=(6.0, 14.4),
    ),
    Chart(
        "Slates",
        "Slates published a second.",
        "ops",
        (Query(rate("freshslate_slates_total", "scenario", _IT), "{{scenario}}"),),
        "stacked",
    ),
    Chart(
        "Alerts",
        "Which alerts fire, and when.",
        "short",
        (Query(f"max by (alertname) ({FIRING})", "{{alertname}}"),),
        "stacked",
    ),
)

_LATENCY: Final = (
    Chart(
        "Event to slate",
        "From the event's own time, by the producer's clock, to the commit of the slate that answers it. "
        "An event that a phone has held back counts with its wait.",
        "s",
        quantiles(_EVENT, _IT),
    ),
    Chart(
        "Record to slate",
        "From the record's time in Kafka to the commit of the slate: what the engine itself answers for. "
        "The objective is measured here.",
        "s",
        quantiles(_RECORD, _IT),
        alert="FreshslateFreshnessBurnSlow",
        limits=(0.5,),
    ),
    Chart(
        "Record to slate by scenario, p99",
        "99th percentile by scenario.",
        "s",
        (Query(quantile(0.99, _RECORD, "scenario", _IT), "{{scenario}}"),),
    ),
)

_STAGES: Final = (
    Chart(
        "Where the time goes",
        "Mean of each stage of a cycle; stacked it is the time of a cycle, and of the wait before it.",
        "s",
        (Query(mean("freshslate_stage_seconds", "stage"), "{{stage}}"),),
        "stacked",
    ),
    Chart(
        "Slow stages, p99",
        "99th percentile of each stage. queue: waiting for the cycle before; commit: the broker.",
        "s",
        (Query(quantile(0.99, "freshslate_stage_seconds", "stage"), "{{stage}}"),),
    ),
    Chart(
        "Phases of a transaction, p99",
        "Parts of commit: writing records, committing input offsets, ending the transaction.",
        "s",
        (Query(quantile(0.99, "freshslate_transaction_seconds", "phase"), "{{phase}}"),),
    ),
)

_CANARY: Final = (
    Chart(
        "Heartbeat to its slate",
        "From producing a heartbeat to the commit of its slate: the whole way, also while the shop sleeps.",
        "s",
        quantiles("freshslate_heartbeat_seconds", shares=(0.5, 0.99)),
        alert="FreshslateHeartbeatMissing",
    ),
    Chart(
        "Heartbeats sent and answered",
        "Both are the same where everything is well.",
        "ops",
        (
            Query(rate("freshslate_heartbeats_sent_total"), "sent"),
            Query(rate("freshslate_heartbeats_answered_total"), "answered"),
        ),
    ),
    Chart(
        "Age of the latest answer",
        "Seconds since a heartbeat of the partition was last answered, by any worker.",
        "s",
        (Query("freshslate:heartbeat_age:seconds", "{{partition}}"),),
        alert="FreshslateHeartbeatMissing",
        limits=(60.0,),
    ),
)

FRESHNESS: Final = Board(
    "freshness",
    "Freshslate: freshness",
    "How soon a slate follows what the shopper did.",
    (SCENARIO,),
    (
        Row("Objective", _OBJECTIVE),
        Row("Burn rate", _BURN),
        Row("Latency", _LATENCY),
        Row("Stages", _STAGES),
        Row("Heartbeat", _CANARY),
    ),
)
