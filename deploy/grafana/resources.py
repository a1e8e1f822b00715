"""Resources: memory, processor, disk, the event loop, and the shared models that every worker carries."""

from typing import Final

from deploy.grafana.panels import INSTANCE, Board, Chart, Query, Row, quantile, rate

_IT: Final = 'instance=~"$instance"'
_ALL: Final = f'job=~"freshslate-.*", {_IT}'


def _each(metric: str, legend: str = "{{instance}}") -> tuple[Query, ...]:
    return (Query(f"freshslate_{metric}{{{_IT}}}", legend),)


def _sum(metric: str, by: str) -> str:
    return f"max by ({by}) (freshslate_{metric}{{{_IT}}})"


_PROCESS: Final = (
    Chart(
        "Memory",
        "Resident memory of workers and monitor.",
        "bytes",
        (Query(f"process_resident_memory_bytes{{{_ALL}}}", "{{job}} {{instance}}"),),
    ),
    Chart(
        "Processor",
        "Cores that a process uses; a worker can use little more than one.",
        "short",
        (Query(f"rate(process_cpu_seconds_total{{{_ALL}}}[$__rate_interval])", "{{job}} {{instance}}"),),
    ),
    Chart(
        "Event loop",
        "How much later than asked for the event loop woke up a timer, 99th percentile.",
        "s",
        (Query(quantile(0.99, "freshslate_event_loop_delay_seconds", "instance", _IT), "{{instance}}"),),
    ),
    Chart(
        "Age of the process",
        "Since it was started; a line that falls to 0 is a restart.",
        "s",
        (Query(f"time() - process_start_time_seconds{{{_ALL}}}", "{{job}} {{instance}}"),),
    ),
)

_PYTHON: Final = (
    Chart(
        "Garbage collections",
        "Runs of Python's garbage collector a second; those of generation 2 stop the event loop longest.",
        "ops",
        (
            Query(
                f"sum by (generation) (rate(python_gc_collections_total{{{_ALL}}}[$__rate_interval]))",
                "{{generation}}",
            ),
        ),
    ),
    Chart(
        "Open files",
        "Share of the files that the process may open.",
        "percentunit",
        (Query(f"process_open_fds{{{_ALL}}} / process_max_fds{{{_ALL}}}", "{{job}} {{instance}}"),),
        limits=(0.8,),
    ),
    Chart(
        "Virtual memory",
        "Address space; much larger than what is resident.",
        "bytes",
        (Query(f"process_virtual_memory_bytes{{{_ALL}}}", "{{job}} {{instance}}"),),
    ),
)

_DISK: Final = (
    Chart(
        "Room on the disk",
        "Free bytes of the disk of the data folder.",
        "bytes",
        _each("data_dir_free_bytes"),
        alert="FreshslateDiskFull",
    ),
    Chart(
        "The data folder",
        "Bytes that state and snapshots take.",
        "bytes",
        _each("data_dir_used_bytes"),
    ),
    Chart(
        "Free, of free and used",
        "Somebody is woken below 10 %.",
        "percentunit",
        (Query(f"freshslate:data_dir_free:ratio{{{_IT}}}", "{{instance}}"),),
        alert="FreshslateDiskFull",
    ),
)

_ROCKSDB: Final = (
    Chart(
        "State on disk", "RocksDB's files, of all open partitions.", "bytes", _each("rocksdb_sst_files_bytes")
    ),
    Chart(
        "Write buffers",
        "RocksDB's memtables, of all open partitions.",
        "bytes",
        _each("rocksdb_memtables_bytes"),
    ),
    Chart(
        "Block cache", "Shared by all partitions of a worker.", "bytes", _each("rocksdb_block_cache_bytes")
    ),
)

_MODELS: Final = (
    Chart(
        "Shared models",
        "Arrays of each model, in the worker where they are largest.",
        "bytes",
        (Query(_sum("model_bytes", "model"), "{{model}}"),),
        "stacked",
    ),
    Chart("Items", "Items that the shared models know.", "short", _each("model_items")),
    Chart("Sessions", "Sessions that can be neighbours.", "short", _each("model_sessions")),
    Chart("Rules", "Pairs of items kept as rules.", "short", _each("model_rules")),
)

_REPLICA: Final = (
    Chart(
        "Learned",
        "Records folded into the shared models a second, per topic, all workers.",
        "ops",
        (Query(rate("freshslate_replica_records_total", "topic", _IT), "{{topic}}"),),
    ),
    Chart(
        "Models behind, in records",
        "Offsets between what the shared models contain and what is committed.",
        "short",
        (Query(_sum("replica_lag_records", "instance, topic"), "{{instance}} {{topic}}"),),
        alert="FreshslateReplicaBehind",
    ),
    Chart(
        "Models behind, in seconds",
        "How long they would take to catch up if nothing more came.",
        "s",
        (Query(f"freshslate:replica_lag:seconds{{{_IT}}}", "{{instance}} {{topic}}"),),
        alert="FreshslateReplicaBehind",
        limits=(60.0,),
    ),
    Chart(
        "Caught up",
        "1 once the shared models contain all that was there at the start.",
        "short",
        _each("replica_caught_up"),
        alert="FreshslateReplicaBehind",
    ),
    Chart(
        "Items that could not be read",
        "Catalogue records that the models passed over, within an hour.",
        "short",
        (
            Query(
                f"sum by (instance) (increase(freshslate_replica_skipped_items_total{{{_IT}}}[1h]))",
                "{{instance}}",
            ),
        ),
    ),
)

RESOURCES: Final = Board(
    "resources",
    "Freshslate: resources",
    "Memory, processor, disk and event loop of workers and monitor, and the shared models.",
    (INSTANCE,),
    (
        Row("Process", _PROCESS),
        Row("Python", _PYTHON),
        Row("Disk", _DISK),
        Row("RocksDB", _ROCKSDB),
        Row("Models", _MODELS),
        Row("Replica", _REPLICA),
    ),
)
