"""Every setting of Freshslate: read from `FRESHSLATE_*` in the environment, checked once at start.

A misspelt name is an error, not a silent default; a wrong value is one line that names the variable.
Why pydantic-settings: docs/decisions/settings.md.
"""

import os
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from state.exposure import Exposing
from state.reward import DEFAULT_HORIZONS_TEXT, DEFAULT_REWARDS
from stream.api_settings import ApiSettings
from stream.environment import PREFIX, ConfigError, env_name, problems, service_links, unknown_names
from stream.misfits import misfits
from stream.operator_settings import OperatorSettings
from stream.security_settings import SecuritySettings
from stream.setting_types import (
    CommaList,
    Horizons,
    InputFormats,
    ModelFile,
    Retention,
    Rewards,
    SourceWeights,
    Weights,
    setting,
)
from stream.topic_names import TopicNames

__all__ = ["ConfigError", "Settings", "load_settings"]

DAY: Final = 86_400
_CYCLE_EVENTS: Final = {"exactly_once": 6000, "at_least_once": 2000}


class Settings(ApiSettings, OperatorSettings, SecuritySettings, TopicNames, BaseSettings):
    """All settings; immutable. Build it with `load_settings`, which explains what is wrong.

    Durations are seconds and sizes bytes, as the names and `settings_table` say.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    broker: str = setting(
        "localhost:9092",
        "host:port",
        "Kafka bootstrap servers, comma separated. Where it is not set, demo, tests and benchmarks start a "
        "broker of their own.",
    )
    app_id: str = setting("freshslate", "name", "Consumer group, and the beginning of every client id.")
    instance_id: str | None = setting(
        None,
        "name",
        "Static membership: a name per worker that survives its restart (in Kubernetes the pod's name), so "
        "that a quick restart moves no partitions.",
    )
    processing_guarantee: Literal["exactly_once", "at_least_once"] = setting(
        "exactly_once",
        "",
        "exactly_once: one Kafka transaction per cycle. at_least_once: lower latency, but a crash may "
        "publish a slate twice (same slate_id, same bytes).",
    )

    inputs: CommaList = setting(
        ("events",),
        "topics",
        "Topics that shoppers' events are read from, comma separated, without topic_prefix.",
    )
    input_formats: InputFormats = setting(
        (),
        "topic=format",
        "Inputs in another format than Freshslate's own, comma separated, such as "
        "clicks=segment,orders=cloudevents; one of cloudevents, ga4, personalize, segment, snowplow "
        "(docs/fronts.md). The first input has Freshslate's own.",
    )
    topic_prefix: str = setting("", "text", "Put before the name of every topic.")
    partitions: int = setting(
        8, "partitions", "Partitions of every topic that is keyed by user. Fixed for life.", ge=1, le=4096
    )
    replication: int = setting(1, "replicas", "Copies of every partition; 3 in production.", ge=1, le=15)
    min_insync: int | None = setting(
        None,
        "replicas",
        "Copies that must have a record before it counts; unset: 2 where replication is 3.",
        ge=1,
    )
    events_retention_seconds: Retention = setting(
        30 * DAY, "s", "How long input events are kept; -1 for ever."
    )
    slates_retention_seconds: Retention = setting(
        30 * DAY, "s", "How long a user's latest slate is kept; -1 for ever."
    )
    slates_log_seconds: int = setting(
        7 * DAY,
        "s",
        "How long every slate is kept, not only a user's latest: the decision log for off-policy evaluation.",
        ge=0,
    )
    rewards_retention_seconds: Retention = setting(90 * DAY, "s", "How long rewards are kept; -1 for ever.")
    deltas_retention_seconds: Retention = setting(
        30 * DAY,
        "s",
        "How long deltas are kept: how far back a worker without a snapshot learns; -1 for ever.",
    )
    dlq_retention_seconds: Retention = setting(14 * DAY, "s", "How long dead letters are kept; -1 for ever.")

    session_timeout_seconds: float = setting(
        8.0,
        "s",
        "A worker silent for so long loses its partitions. Brokers refuse less than their "
        "group.min.session.timeout.ms, 6 s.",
        gt=0,
    )
    heartbeat_seconds: float = setting(1.0, "s", "Time between a worker's signs of life to the group.", gt=0)
    transaction_timeout_seconds: float = setting(
        4.0, "s", "The broker ends the open transaction of a frozen worker after so long.", gt=0
    )
    fetch_bytes: int = setting(1 << 20, "bytes", "Most that one fetch brings of one partition.", ge=1024)
    chunk_records: int = setting(500, "records", "Most records handed over at once, per partition.", ge=1)
    queue_chunks: int = setting(64, "chunks", "Chunks waiting per worker before it stops fetching.", ge=1)
    cycle_max_events: int | None = setting(
        None,
        "events",
        "Most events of one cycle, so of one transaction. Unset: 6000 exactly once; 2000 at least once, "
        "where a partition's profiles of one cycle have to fit one batch.",
        ge=1,
    )
    cycle_min_seconds: float = setting(
        0.005, "s", "Shortest cycle under load: longer means fewer and fuller transactions.", ge=0, le=1
    )
    cycle_step_seconds: float = setting(
        0.1, "s", "A cycle takes no more events than it can decide in this time.", gt=0, le=1
    )
    on_lost_input: Literal["stop", "continue"] = setting(
        "stop",
        "",
        "When the broker deleted events that were never processed: stop the worker, or go on behind the gap.",
    )

    max_event_bytes: int = setting(65_536, "bytes", "A larger event is a dead letter.", ge=256)
    max_items_per_event: int = setting(100, "items", "An event with more items is a dead letter.", ge=1)
    max_event_age_seconds: int = setting(
        30 * DAY, "s", "An event that much older than its record is a dead letter.", gt=0
    )
    max_event_ahead_seconds: int = setting(
        3600, "s", "An event that far ahead of its record is a dead letter.", ge=0
    )
    dead_letter_window: int = setting(
        1000, "records", "The latest records of a partition that dead_letter_share looks at.", ge=10
    )
    dead_letter_share: float = setting(
        0.5, "share", "The worker stops when more of the window than this is invalid; 1 is never.", gt=0, le=1
    )

    slate_size: int = setting(10, "items", "Items of a slate.", ge=1, le=100)
    candidates: int = setting(60, "items", "Candidates that a slate is chosen from.", ge=1, le=1000)
    slate_types: CommaList = setting(
        ("view", "click", "add_to_cart", "remove_from_cart", "purchase", "search", "like", "skip"),
        "event types",
        "Events that ask for a new slate, comma separated.",
    )
    policy: str = setting(
        "softmax",
        "name",
        "How a slate is drawn from candidates: softmax, epsilon_greedy, squarecb, linear_ts, source_mix, "
        "greedy, or the name of a plug-in (docs/policies.md).",
    )
    temperature: float = setting(
        0.15,
        "score",
        "softmax: how far apart in score two items must be to differ e-fold in odds.",
        ge=0.0125,
    )
    epsilon: float = setting(
        0.05, "probability", "epsilon_greedy: how often a position is drawn at random.", ge=1e-6, le=1
    )
    random_share: float = setting(
        0.0,
        "share",
        "Share of users, by a hash of their key, whose slates are drawn uniformly from the same candidates: "
        "the control that policy is measured against.",
        ge=0,
        le=1,
    )
    policy_file: Path | None = setting(
        None,
        "path",
        "TOML file of policies by scenario and share of users, in place of the four settings above; a change "
        "is followed within seconds, a wrong one refused.",
    )
    log_candidates: float = setting(
        0.1,
        "share",
        "Share of slates, by a hash of their ids, that say all candidates with scores and contexts: what "
        "learning and judging other policies needs. Some 2.3 KB more each.",
        ge=0,
        le=1,
    )
    sources: Weights = setting(
        (),
        "name=weight",
        "Plugged-in candidate sources to use, comma separated; session neighbours weigh 1.",
    )
    rules_file: Path | None = setting(
        None, "path", "TOML file of business rules; a change is followed within seconds, a wrong one refused."
    )
    session_gap_seconds: int = setting(
        1800, "s", "A session ends after so long without activity, in event time.", ge=1
    )
    exclude_bought_seconds: int = setting(
        7 * DAY, "s", "A bought item is not recommended to its buyer for so long; 0: at once again.", ge=0
    )
    rewards: Rewards = setting(
        DEFAULT_REWARDS,
        "type=reward",
        "What feedback is worth, by event type: a number, by the money it brings, or both, such as "
        "purchase=1+0.05*value. A type that is not named earns nothing.",
    )
    reward_horizons: Horizons = setting(
        DEFAULT_HORIZONS_TEXT,
        "type=time",
        "How long after its slate feedback earns its reward, and a refund after its purchase takes it back; "
        "in s, m, h or d. A type that is not named has its default.",
    )
    reward_clip: float = setting(100.0, "reward", "No reward is beyond this, either sign.", gt=0, le=1e9)
    reward_currency: str | None = setting(
        None,
        "currency",
        "Currency of all values that count as reward; one in another earns nothing. Unset: as they come.",
        min_length=1,
        max_length=16,
    )
    exposures: Exposing = setting(
        "acted",
        "",
        "What says that a slate was seen. acted: an impression, or the user's next act, down to the deepest "
        "item clicked, else all. impressions: an impression, or feedback on the very item.",
    )
    max_sessions: int = setting(
        262_144,
        "sessions",
        "Sessions that the shared nearest-neighbour model remembers, rounded up to a power of two.",
        ge=1,
        le=1 << 24,
    )
    popularity_half_life_seconds: int = setting(5 * DAY, "s", "Popularity halves in this time.", ge=1)
    rules_tau_seconds: int = setting(
        60 * DAY, "s", "The weight of what followed what falls e-fold in this time.", ge=1
    )
    source_weights: SourceWeights = setting(
        (),
        "source=weight",
        "Weights of candidate sources in place of the defaults (docs/decisions/sources.md), comma separated, "
        "such as category=0.3,hour=0. 0 turns a source off.",
    )
    model_file: ModelFile = setting(
        None,
        "path",
        "TOML file with parameters of the shared models, as `freshslate evaluate --tune` writes it. The "
        "four settings above it go first where they are set. All workers need the same parameters.",
    )

    maturity_seconds: int = setting(
        1800,
        "s",
        "How long learning waits for the answers to a slate; slower ones are made up for by weight "
        "(docs/learning.md). Longer: surer of slow feedback, later.",
        ge=1,
        le=7 * DAY,
    )
    learning_bucket_seconds: int = setting(
        60, "s", "Slates of so long mature together, and change what policies believe.", ge=1, le=3600
    )
    learning_half_life_seconds: int = setting(
        7 * DAY, "s", "What was learned of rewards so long ago weighs half.", ge=1
    )

    log_features: bool = setting(
        False,
        "",
        "Whether slates say what a ranker sees of each item, which freshslate train-ranker learns from. Some "
        "1.6 KB more a slate of 10 items.",
    )
    data_dir: Path = setting(
        Path(".freshslate"),
        "path",
        "Folder for state and snapshots; workers of one machine may share it, and it may be lost.",
    )
    rocksdb_cache_bytes: int = setting(
        64 << 20, "bytes", "Block cache of all partition stores of a worker together.", ge=1 << 20
    )
    rocksdb_write_buffer_bytes: int = setting(
        8 << 20, "bytes", "Write buffer of each partition store.", ge=1 << 16
    )
    snapshot_seconds: float = setting(60.0, "s", "Time between snapshots of the shared models.", gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment; a `.env` file is the shell's business."""
        del settings_cls, dotenv_settings, file_secret_settings
        if isinstance(env_settings, EnvSettingsSource):
            links = {name.lower() for name in service_links(os.environ)}
            env_settings.env_vars = {
                name: value for name, value in env_settings.env_vars.items() if name not in links
            }
        return init_settings, env_settings

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        problems = list(misfits(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def is_broker_given(self) -> bool:
        """Whether somebody chose the broker, rather than the default standing in."""
        return "broker" in self.model_fields_set

    @property
    def most_cycle_events(self) -> int:
        """Most events of one cycle."""
        return self.cycle_max_events or _CYCLE_EVENTS[self.processing_guarantee]


def load_settings(**overrides: object) -> Settings:
    """Read and check the settings: `overrides` first, then the environment, then defaults.

    Raises:
        ConfigError: with every problem, one line each.
    """
    unknown = list(unknown_names(os.environ, map(env_name, Settings.model_fields)))
    if unknown:
        raise ConfigError(unknown)
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        raise ConfigError(problems(error)) from None
