"""Pipeline: what comes in and goes out, how far behind, transactions, partitions, dead letters."""

from typing import Final

from deploy.grafana.panels import INSTANCE, Board, Chart, Query, Row, quantile, quantiles, rate

_IT: Final = 'instance=~"$instance"'


def _gauge(metric: str, by: str, how: str = "sum") -> str:
    return f"{how} by ({by}) (freshslate_{metric}{{{_IT}}})"


_FLOW: Final = (
    Chart(
        "Events in",
        "Events processed a second, duplicates among them.",
        "ops",
        (Query(rate("freshslate_events_total", "type", _IT), "{{type}}"),),
        "stacked",
        "FreshslateNoPurchases",
    ),
    Chart(
        "Slates out",
        "Slates published a second.",
        "ops",
        (Query(rate("freshslate_slates_total", "policy", _IT), "{{policy}}"),),
        "stacked",
    ),
    Chart(
        "By worker",
        "Events processed a second.",
        "ops",
        (Query(rate("freshslate_events_total", "instance", _IT), "{{instance}}"),),
    ),
    Chart(
        "Workers that answer",
        "1 for each worker that Prometheus can scrape, 0 for one that it cannot.",
        "short",
        (Query(f'up{{job="freshslate-worker", {_IT}}}', "{{instance}}"),),
        alert="FreshslateWorkerDown",
    ),
)

_BEHIND: Final = (
    Chart(
        "Lag in seconds",
        "How long ago the record that comes next was first seen to wait.",
        "s",
        (Query("freshslate:lag:seconds", "{{topic}} {{partition}}"),),
        alert="FreshslateLagGrowing",
        limits=(30.0,),
    ),
    Chart(
        "Lag in records",
        "Records of input partitions that wait.",
        "short",
        (Query(_gauge("consumer_lag_records", "topic, partition"), "{{topic}} {{partition}}"),),
        alert="FreshslateLagGrowing",
    ),
    Chart(
        "Age of the last commit",
        "Grows while there is nothing to do; bad where lag grows too.",
        "s",
        (Query(f"freshslate:commit_age:seconds{{{_IT}}}", "{{instance}}"),),
        alert="FreshslateCommitsStalled",
    ),
    Chart(
        "Chunks that wait",
        "Chunks of records in a worker's queue; at FRESHSLATE_QUEUE_CHUNKS it stops to fetch.",
        "short",
        (Query(_gauge("queue_chunks", "instance"), "{{instance}}"),),
    ),
)

_CYCLES: Final = (
    Chart(
        "Events of a cycle",
        "Records of one transaction; grows under load.",
        "short",
        quantiles("freshslate_cycle_events", _IT, (0.5, 0.99)),
    ),
    Chart(
        "Time of a cycle",
        "From the first decode until the last partition is applied.",
        "s",
        quantiles("freshslate_cycle_seconds", _IT, (0.5, 0.99)),
    ),
    Chart(
        "Transactions",
        "Cycles committed a second.",
        "ops",
        (Query(rate("freshslate_cycle_seconds_count", "instance", _IT), "{{instance}}"),),
    ),
    Chart(
        "Phases of a transaction, p50",
        "Writing records, committing input offsets, ending the transaction.",
        "s",
        (Query(quantile(0.5, "freshslate_transaction_seconds", "phase", _IT), "{{phase}}"),),
        "stacked",
    ),
)

_PARTITIONS: Final = (
    Chart(
        "Rebalances",
        "Assignments that the group gave, within five minutes.",
        "short",
        (Query(f"sum by (instance) (increase(freshslate_rebalances_total{{{_IT}}}[5m]))", "{{instance}}"),),
    ),
    Chart(
        "Assignments given up",
        "Because a transaction was refused or Kafka failed, within ten minutes; nothing is lost.",
        "short",
        (Query(f"sum by (error) (increase(freshslate_assignments_ended_total{{{_IT}}}[10m]))", "{{error}}"),),
        alert="FreshslateFencingStorm",
        limits=(5.0,),
    ),
    Chart(
        "Partitions assigned and open",
        "An assigned partition is open once its state is restored.",
        "short",
        (
            Query(_gauge("partitions_assigned", "instance"), "assigned {{instance}}"),
            Query(_gauge("partitions_open", "instance"), "open {{instance}}"),
        ),
        alert="FreshslateRestoreStuck",
    ),
    Chart(
        "Restore",
        "Changelog records read a second, to bring local state up to date.",
        "ops",
        (Query(rate("freshslate_restored_records_total", "instance", _IT), "{{instance}}"),),
        alert="FreshslateRestoreStuck",
    ),
    Chart(
        "Time to restore",
        "Opening the partitions of an assignment.",
        "s",
        quantiles("freshslate_restore_seconds", _IT, (0.5, 0.99)),
    ),
)

_LETTERS: Final = (
    Chart(
        "Dead letters by reason",
        "Records a second that went to the dead letter topic.",
        "ops",
        (Query(rate("freshslate_events_rejected_total", "reason", _IT), "{{reason}}"),),
        "stacked",
        "FreshslateDeadLetterShare",
    ),
    Chart(
        "Share of dead letters",
        "Of all records. A ticket above 5 %; a worker stops above FRESHSLATE_DEAD_LETTER_SHARE.",
        "percentunit",
        (Query("freshslate:dead_letters:ratio_rate5m", "dead letters"),),
        alert="FreshslateDeadLetterShare",
        limits=(0.05,),
    ),
    Chart(
        "Duplicates",
        "Events that had been processed before.",
        "ops",
        (Query(rate("freshslate_events_duplicate_total", "instance", _IT), "{{instance}}"),),
    ),
)

_VERSIONS: Final = (
    Chart(
        "Versions that run",
        "Workers by version. Two rows during a rolling restart, one after it.",
        "short",
        (
            Query(
                f"count by (version, python, processing_guarantee) (freshslate_build_info{{{_IT}}})",
                "{{version}}, Python {{python}}, {{processing_guarantee}}",
            ),
        ),
    ),
    Chart(
        "Rules and policies in force",
        "Workers by version of rules, policies and ranker. Two for longer than some seconds: they differ.",
        "short",
        (
            Query(f"count by (version) (freshslate_rules_info{{{_IT}}})", "rules {{version}}"),
            Query(f"count by (version) (freshslate_policy_file_info{{{_IT}}})", "policies {{version}}"),
            Query(f"count by (version) (freshslate_ranker_info{{{_IT}}})", "ranker {{version}}"),
        ),
    ),
    Chart(
        "Refused",
        "Changes that could not be followed, within an hour: what was there before serves on.",
        "short",
        (
            Query(f"sum(increase(freshslate_rules_refused_total{{{_IT}}}[1h]))", "rules"),
            Query(f"sum(increase(freshslate_policy_file_refused_total{{{_IT}}}[1h]))", "policies"),
            Query(f"sum(increase(freshslate_ranker_refused_total{{{_IT}}}[1h]))", "ranker"),
        ),
    ),
    Chart(
        "Age of the ranker",
        "Since it was trained.",
        "s",
        (Query(f"time() - min(freshslate_ranker_trained_timestamp_seconds{{{_IT}}})", "age"),),
    ),
    Chart(
        "Plugged-in sources",
        "Share of the event loop's time that each takes, and its failed calls a second.",
        "short",
        (
            Query(rate("freshslate_source_seconds_total", "source", _IT), "time {{source}}"),
            Query(rate("freshslate_source_errors_total", "source", _IT), "errors {{source}}"),
        ),
    ),
)

PIPELINE: Final = Board(
    "pipeline",
    "Freshslate: pipeline",
    "From input topics to slates: throughput, lag, transactions, partitions, dead letters.",
    (INSTANCE,),
    (
        Row("Throughput", _FLOW),
        Row("Lag", _BEHIND),
        Row("Cycles", _CYCLES),
        Row("Partitions", _PARTITIONS),
        Row("Dead letters", _LETTERS),
        Row("Versions and plug-ins", _VERSIONS),
    ),
)
