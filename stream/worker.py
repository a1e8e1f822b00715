"""One worker process, put together: models, state, transaction and loop, from the settings."""

import asyncio
import gc
import logging
import math
import uuid
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import convert

from state.catalogue import CatalogueItem
from state.event import TOPIC_TYPES, Event, EventRules, Inbound, Origin
from state.models import Models
from state.policy.base import Policy, choose
from state.policy.context import CONTEXT_SIZE
from state.policy.learning import NOTHING_KNOWN, learns
from state.policy.limits import Limits
from state.policy.plan import SALT, Plan
from state.policy.registry import make_policy
from state.policy.river_model import learners_of
from state.policy.shares import Assignment, Shares
from state.policy.uniform import Uniform
from state.posterior.posterior import Posterior
from state.profile import NEW_PROFILE
from state.ranking.ranker import Ranker
from state.ranking.trees import trees_of
from state.recommend import Recommender, RecommendRules
from state.reranking.rules import Rules
from state.retrieval.config import ModelConfig, parse_weights
from state.retrieval.plugged import Plugged
from state.reward import reward_rules
from state.seeds import seed_of
from state.session import SessionRules
from state.shortest import as_double
from state.step import Decide, StepRules
from stream import faults
from stream.app import AppInput
from stream.beside import ended
from stream.cluster import check_cluster
from stream.config import DAY, Settings
from stream.connection import connection
from stream.entry_points import OWN_POLICIES
from stream.faults import parse_fault_point
from stream.followed import followed_topics, learning_config
from stream.heartbeat import Heartbeat
from stream.loop import Loop
from stream.metrics import Metrics
from stream.misfits import advice
from stream.model_file import read_model_file
from stream.own_folder import end_open_transaction, own_folder, sign
from stream.partitions import Partitions
from stream.plugins import plugged_policy, plugged_sources
from stream.policy_file import PolicyFile, hand_over, load_plan
from stream.published import Published
from stream.pulse import pulse
from stream.quiet import quieten
from stream.ranker import RankerFollower
from stream.replica import Replica
from stream.rules_file import RulesFile
from stream.sizes import measure_build, measure_disk, measure_ranker, measure_sizes
from stream.stopping import Stopping
from stream.transaction import Publisher, TransactionalPublisher
from stream.watched_file import WatchedFile
from stream.work import Engine, work
from stream.worker_metrics import LOOP_DELAY, WorkerMetrics, told

log = logging.getLogger(__name__)

GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Objects more than before that set off a collection of the young; young ones that set off one of the middle
generation; and of those, one of all."""
SNAPSHOT: Final = "models-1.npz"
"""Version of the file's layout in its name."""
JOURNAL_DIGITS: Final = 12
"""Of the transactional id, by which deltas name their worker."""


class Worker:
    """Everything one process needs, started before it joins the group."""

    def __init__(self, settings: Settings, source: AppInput) -> None:
        """Take a folder of our own and build the parts.

        Raises:
            StopWorker: the data folder is in use by others.
        """
        self._settings = settings
        self.source = source
        faults.arm(parse_fault_point(settings.fault_point) if settings.fault_point else None)
        self._lock = own_folder(settings)
        folder = Path(self._lock.lock_file).parent
        self._transactional_id = f"{settings.app_id}-{uuid.uuid4().hex}"
        self._former = sign(folder, self._transactional_id)
        self.metrics = WorkerMetrics()
        self.stopping = Stopping(settings.stop_seconds)
        self._plugged = plugged_sources(settings.sources, self.metrics)
        self.replica = Replica(
            connection(settings),
            topics=followed_topics(settings),
            config=model_config(settings),
            learning=learning_config(settings),
            snapshot=folder / SNAPSHOT,
            snapshot_seconds=settings.snapshot_seconds,
        )
        decide, self._files, self.rankers = deciding(settings, self.replica, self.metrics, self._plugged)
        published = published_over(decide, settings)
        self.partitions = Partitions(settings, folder, writer=self._transactional_id, published=published)
        self.loop = Loop(
            source=source,
            partitions=self.partitions,
            publisher=publisher(settings, self._transactional_id),
            work=partial(work, engine=self._engine(published or decide)),
            settings=settings,
            metrics=self.metrics,
        )
        self.loop.on_commit = self.replica.journal.committed
        self._measured(folder)
        self._tasks: list[asyncio.Task[None]] = []

    def _measured(self, folder: Path) -> None:
        """Have everything looked at that is worth a look when somebody scrapes."""
        metrics = self.metrics
        measure_build(metrics, self._settings, version("freshslate"))
        metrics.before_scrape(partial(measure_sizes, metrics, self.loop, self.partitions, self.replica))
        metrics.before_scrape(partial(measure_disk, metrics, folder))
        metrics.before_scrape(partial(measure_ranker, metrics, self.rankers))

    def _engine(self, decide: Decide) -> Engine:
        """What cycles are worked with; their deltas say what the models had folded."""
        self.replica.journal.worker = self._transactional_id[-JOURNAL_DIGITS:]
        made = engine(self._settings, decide, self._transactional_id)
        return made._replace(folded=self.replica.journal.said)

    async def start(self) -> None:
        """Check the topics, compile the kernels, bring the models up to date.

        All of it before the group is joined: it may take longer than a session timeout.

        Raises:
            state.errors.SetupError: the topics do not fit.
        """
        quieten()
        for line in advice(self._settings):
            log.warning(line)
        for line in await check_cluster(self._settings, "worker"):
            log.warning(line)
        await asyncio.gather(
            asyncio.to_thread(warm, self._settings, self._plugged),
            end_open_transaction(self._former, self._settings),
        )
        for follower, name in ((self.replica, "replica"), (self.rankers, "rankers")):
            following = asyncio.create_task(follower.run(), name=name)
            self._tasks.append(following)
            caught_up = asyncio.create_task(follower.caught_up.wait())
            await asyncio.wait({following, caught_up}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                caught_up.cancel()
                following.result()
        beating = pulse(partial(self.metrics.observe, LOOP_DELAY))
        self._tasks.append(asyncio.create_task(beating, name="pulse"))
        for name, file in self._files.items():
            self._tasks.append(asyncio.create_task(file.watch(), name=name))
        self._tasks.append(asyncio.create_task(self.loop.run(), name="loop"))
        if self._settings.canary_seconds:
            heart = Heartbeat(self._settings, lambda: self.loop.assignment, self.metrics)
            self._tasks.append(asyncio.create_task(heart.run(), name="heartbeat"))
        calm_collector()

    async def run(self) -> None:
        """Wait until a part fails, and raise its error."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Finish the running cycle and let go; safe to call at any time."""
        restoring = sorted(self.partitions.restoring)
        self.stopping.waits_for = (
            f"partitions {restoring} to be restored" if restoring else "the running cycle to be committed"
        )
        await self.loop.stop()
        self.stopping.waits_for = "the readers of models to end"
        if self._tasks:
            log.info("%s", told(self.metrics))
        await ended(self._tasks)
        if self._tasks:
            log.info("stopped")
        self._tasks = []
        self._lock.release()
        self.stopping.waits_for = "the group to be left"


def calm_collector() -> None:
    """Keep Python's cycle collector from walking, again and again, what lives as long as the process.

    What is here at the start is left out of every walk, and a cycle's thousands of short-lived events,
    profiles and slates, which hold no reference cycles, no longer set off one each 700 objects.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def publisher(settings: Settings, transactional_id: str) -> Publisher:
    """How this worker writes, by its processing guarantee."""
    if settings.processing_guarantee == "at_least_once":
        return Publisher(
            connection(settings), client_id=settings.app_id, compression=settings.kafka_compression
        )
    return TransactionalPublisher(
        connection(settings),
        client_id=settings.app_id,
        transactional_id=transactional_id,
        group_id=settings.app_id,
        timeout_seconds=settings.transaction_timeout_seconds,
        compression=settings.kafka_compression,
    )


class Deciding(NamedTuple):
    """What decides slates, and what it follows."""

    decide: Recommender
    files: dict[str, WatchedFile[Any]]
    rankers: RankerFollower


def deciding(
    settings: Settings, replica: Replica, metrics: Metrics, plugged: Sequence[Plugged] = ()
) -> Deciding:
    """What decides slates as workers do: by a replica's models and beliefs, rankers, rules and policies."""
    serving = assignment(settings)
    replica.teach({each.name: each.source for each in plugged}, learners_of(serving.policies))
    decide = recommender(settings, replica.models, plugged, serving=serving)
    replica.believe(partial(setattr, decide, "beliefs"))
    rankers = RankerFollower(settings, partial(setattr, decide, "ranker"))
    return Deciding(decide, watched_files(decide, settings, metrics), rankers)


def recommender(
    settings: Settings,
    models: Models,
    plugged: Sequence[Plugged] = (),
    *,
    serving: Assignment | None = None,
) -> Recommender:
    """What decides, built from the settings; `serving` is their `assignment`."""
    serving = serving or assignment(settings)
    return Recommender(models, serving, recommend_rules(settings), plugged=plugged)


def watched_files(decide: Recommender, settings: Settings, metrics: Metrics) -> dict[str, WatchedFile[Any]]:
    """The files that what decides follows."""
    files: dict[str, WatchedFile[Any]] = {}
    if settings.rules_file is not None:
        files["rules"] = RulesFile(settings.rules_file, decide.follow, metrics)
    if settings.policy_file is not None:
        follow, prepare = partial(put_in_force, decide), partial(warm_policies, settings=settings)
        files["policies"] = PolicyFile(settings.policy_file, follow, prepare, metrics)
    return files


def put_in_force(decide: Recommender, plan: Plan) -> None:
    """Let a plan's policies draw from now on; models of river go on with what they have learned."""
    hand_over(decide.assignment, plan)
    decide.assignment = plan


def published_over(decide: Decide, settings: Settings) -> Published | None:
    """What repeats published slates; None where a cycle's transaction leaves none to repeat."""
    return Published(decide, settings) if settings.processing_guarantee == "at_least_once" else None


def engine(settings: Settings, decide: Decide, writer: str) -> Engine:
    """What a cycle is worked with, built from the settings."""
    return Engine(
        decide=decide,
        events=event_rules(settings),
        step=step_rules(settings),
        writer=writer,
        version=version("freshslate"),
    )


def recommend_rules(settings: Settings) -> RecommendRules:
    """What a slate is made of."""
    return RecommendRules(
        slots=settings.slate_size,
        candidates=settings.candidates,
        exclude_bought_ms=settings.exclude_bought_seconds * 1000,
        log_features=settings.log_features,
        log_candidates=settings.log_candidates,
    )


def policy(settings: Settings) -> Policy:
    """How a slate is drawn from the candidates, but for the control group's."""
    if settings.policy not in OWN_POLICIES:
        return plugged_policy(settings.policy)
    return make_policy(settings.policy, epsilon=settings.epsilon, temperature=settings.temperature)


def shares(settings: Settings) -> Shares:
    """Which users get the policy's slates, and which the control group's."""
    control = settings.random_share
    return Shares([(policy(settings), 1.0 - control), (Uniform(), control)], SALT)


def assignment(settings: Settings) -> Assignment:
    """Who draws whose slates: by the policy file, else by the settings."""
    return shares(settings) if settings.policy_file is None else load_plan(settings.policy_file)


def event_rules(settings: Settings) -> EventRules:
    """What a valid event is."""
    return EventRules(
        max_bytes=settings.max_event_bytes,
        max_items=settings.max_items_per_event,
        max_age_ms=settings.max_event_age_seconds * 1000,
        max_ahead_ms=settings.max_event_ahead_seconds * 1000,
        topic_types={settings.topic_prefix + name: kind for name, kind in TOPIC_TYPES.items()},
        formats=settings.formats,
    )


def step_rules(settings: Settings) -> StepRules:
    """How events are folded and answered."""
    return StepRules(
        session=SessionRules(gap_ms=settings.session_gap_seconds * 1000),
        reward=reward_rules(
            settings.rewards,
            settings.reward_horizons,
            clip=settings.reward_clip,
            currency=settings.reward_currency,
        ),
        slate_types=frozenset(settings.slate_types),
        exposing=settings.exposures,
    )


def model_config(settings: Settings) -> ModelConfig:
    """What the shared models remember: settings that were set, then the model file, then defaults."""
    own = {
        "max_sessions": ("max_sessions", 1 << (settings.max_sessions - 1).bit_length()),
        "popularity_half_life_seconds": (
            "popularity_decay_days",
            settings.popularity_half_life_seconds / math.log(2) / DAY,
        ),
        "rules_tau_seconds": ("rule_decay_days", settings.rules_tau_seconds / DAY),
    }
    values = {} if settings.model_file is None else read_model_file(settings.model_file)
    for setting, (name, value) in own.items():
        if setting in settings.model_fields_set or name not in values:
            values[name] = value
    return convert(values | parse_weights(settings.source_weights), ModelConfig)


def warm(settings: Settings, plugged: Sequence[Plugged] = ()) -> None:
    """Run every kernel once, so that none compiles inside a session timeout."""
    models = Models(model_config(settings))
    models.warm()
    Posterior().warm()
    event = Event(event_id="warm", type="search", user_id="warm", time=0)
    asked = NEW_PROFILE, Inbound(event, Origin("warm", 0, 0, 0))
    # With the candidates of every slate, whatever the share is: that of some is the same kernel.
    decide = recommender(settings.model_copy(update={"log_candidates": 1.0}), models, plugged)
    decide([asked])
    decide.ranker = Ranker(trees_of(()), "warm")
    decide([asked])
    as_double(1.0)
    if settings.rules_file is not None:
        models.upsert_item("warm", CatalogueItem(item_id="warm", category="warm"))
        decide.follow(Rules(diversity=0.1, category_limit=1))
        decide([asked])
    warm_policies(decide.assignment, settings)


def warm_policies(served: Assignment, settings: Settings) -> None:
    """Run the kernels of these policies once, with limits where there may be any."""
    scores = np.linspace(1.0, 0.0, settings.candidates, dtype=np.float32)
    groups = np.zeros((1, settings.candidates), np.int32)
    limited = Limits(groups, np.ones(1, np.int32))
    for each in served.policies:
        for limits in (None, limited) if settings.rules_file is not None else (None,):
            choose(each, scores, settings.slate_size, seed_of("warm", 0, 0), limits=limits)
        if learns(each):
            each.expected(np.zeros((1, CONTEXT_SIZE), np.uint8), NOTHING_KNOWN)
