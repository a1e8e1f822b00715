import asyncio
import logging
import math
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

import stream.own_folder
import stream.watched_file
import stream.worker
from state.errors import SetupError, StopWorker
from state.event import EVENT_TYPES
from state.policy.epsilon_greedy import EpsilonGreedy
from state.policy.softmax import Softmax
from state.posterior.beliefs import PRIOR
from state.reward import DAY_MS, RewardRule
from state.step import StepRules
from stream.config import Settings
from stream.transaction import Publisher, TransactionalPublisher
from stream.worker import (
    SNAPSHOT,
    Worker,
    assignment,
    engine,
    event_rules,
    model_config,
    own_folder,
    policy,
    published_over,
    publisher,
    recommender,
    step_rules,
)
from stream.worker_metrics import LOOP_DELAY
from tests.stream.distributions import install
from tests.stream.fakes import MemoryInput, until
from tests.stream.made_ranker import made_artefact


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, app_id="shop")


def folder(lock):
    return Path(lock.lock_file).parent


@pytest.fixture
def ended(monkeypatch):
    """Transactional ids whose transactions were ended."""
    ids = []

    async def end(transactional_id, broker):
        ids.append((transactional_id, broker))

    monkeypatch.setattr(stream.own_folder, "end_transaction_of", end)
    return ids


# From settings to rules ------------------------------------------------------------------------------


def test_the_guarantee_decides_how_the_worker_writes(tmp_path):
    once = publisher(Settings(broker="b:1", app_id="shop", transaction_timeout_seconds=2.5), "shop-1")
    assert type(once) is TransactionalPublisher
    assert (once.transactional_id, once._group_id) == ("shop-1", "shop")
    assert once._settings["transaction_timeout_ms"] == 2500
    assert (once._settings["bootstrap_servers"], once._settings["client_id"]) == ("b:1", "shop")
    plain = publisher(Settings(processing_guarantee="at_least_once"), "shop-1")
    assert type(plain) is Publisher
    assert "transactional_id" not in plain._settings


def test_only_at_least_once_are_slates_repeated():
    decide = object()
    assert published_over(decide, Settings()) is None
    assert published_over(decide, Settings(processing_guarantee="at_least_once"))._decide is decide


def test_event_rules_are_in_milliseconds_and_bytes():
    rules = event_rules(
        Settings(
            max_event_bytes=1000,
            max_items_per_event=7,
            max_event_age_seconds=60,
            max_event_ahead_seconds=5,
            topic_prefix="shop.",
            inputs=("events", "web"),
            input_formats=("web=segment",),
        )
    )
    assert rules.formats == {"shop.web": "segment"}
    assert (rules.max_bytes, rules.max_items) == (1000, 7)
    assert (rules.max_age_ms, rules.max_ahead_ms) == (60_000, 5_000)
    assert rules.topic_types["shop.purchases"] == "purchase"
    assert "purchases" not in rules.topic_types


def test_step_rules_are_in_milliseconds():
    rules = step_rules(Settings(session_gap_seconds=90, slate_types="click,purchase"))
    assert rules.session.gap_ms == 90_000
    assert rules.slate_types == {"click", "purchase"} < set(EVENT_TYPES)


def test_rewards_and_exposures_are_those_of_the_settings():
    rules = step_rules(
        Settings(
            rewards="click=1 purchase=0.05*value",
            reward_horizons="purchase=14d refund=3d",
            reward_clip=9,
            reward_currency="EUR",
            exposures="impressions",
        )
    )
    assert set(rules.reward.by_type) == {"click", "purchase"}
    assert rules.reward.by_type["purchase"] == RewardRule(0.0, 14 * DAY_MS, 0.05)
    assert (rules.reward.refund_ms, rules.reward.clip, rules.reward.currency) == (3 * DAY_MS, 9.0, "EUR")
    assert rules.exposing == "impressions"


def test_the_default_settings_are_the_default_rules():
    assert step_rules(Settings()) == StepRules()


def test_models_age_in_days_by_e():
    config = model_config(
        Settings(max_sessions=1024, popularity_half_life_seconds=86_400, rules_tau_seconds=172_800)
    )
    assert config.max_sessions == 1024
    assert math.exp(-1 / config.popularity_decay_days) == pytest.approx(0.5)
    assert config.rule_decay_days == 2.0


def test_weights_of_sources_take_the_place_of_the_defaults():
    config = model_config(Settings(source_weights="category=0.5, content=0"))
    assert (config.category_weight, config.content_weight) == (0.5, 0.0)
    assert config.two_hop_weight == model_config(Settings()).two_hop_weight


@pytest.mark.parametrize(("wanted", "kept"), [(1, 1), (2, 2), (3, 4), (1000, 1024), (1024, 1024)])
def test_sessions_are_kept_up_to_the_next_power_of_two(wanted, kept):
    assert model_config(Settings(max_sessions=wanted)).max_sessions == kept


def test_a_model_file_goes_before_defaults_and_after_settings_that_were_set(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text("[model]\nneighbours = 50\nrule_decay_days = 9\npopularity_decay_days = 3.5\n")
    config = model_config(Settings(model_file=path, rules_tau_seconds=86_400))
    assert (config.neighbours, config.rule_decay_days, config.popularity_decay_days) == (50, 1.0, 3.5)
    assert config.max_sessions == 262_144


def test_the_policy_gets_the_parameter_that_is_its_own():
    soft = policy(Settings(policy="softmax", temperature=0.3))
    greedy = policy(Settings(policy="epsilon_greedy", epsilon=0.2))
    assert isinstance(soft, Softmax)
    assert soft.temperature == 0.3
    assert isinstance(greedy, EpsilonGreedy)
    assert greedy.epsilon == 0.2


def test_a_policy_file_says_who_draws_in_place_of_the_settings(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('[[arm]]\npolicy = "greedy"\nshare = 1\n')
    assert [each.name for each in assignment(Settings(policy_file=path)).policies] == ["greedy"]
    assert [each.name for each in assignment(Settings(random_share=0.5)).policies] == ["softmax", "random"]


def test_the_recommender_decides_by_the_settings():
    settings = Settings(
        slate_size=3, candidates=9, exclude_bought_seconds=60, log_features=True, log_candidates=0.25
    )
    models = object()
    made = recommender(settings, models)
    rules = made._rules
    assert (rules.slots, rules.candidates, rules.exclude_bought_ms) == (3, 9, 60_000)
    assert rules.log_features
    assert rules.log_candidates == 0.25
    assert made._models is models


def test_the_engine_is_made_by_the_settings():
    decide = object()
    made = engine(Settings(max_items_per_event=7), decide, "shop-1")
    assert made.decide is decide
    assert made.events.max_items == 7
    assert (made.writer, made.version) == ("shop-1", version("freshslate"))


# The worker ------------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch):
    """What the start did, with nothing to connect to and nothing to compile."""
    calls = []

    async def check(settings, role):
        calls.append(("cluster", settings.broker, role))
        return ()

    monkeypatch.setattr(stream.worker, "check_cluster", check)
    monkeypatch.setattr(stream.worker, "warm", lambda *_: calls.append("warm"))
    monkeypatch.setattr(stream.worker, "quieten", lambda: None)  # filters of loggers would stay

    async def follow(self):
        self.caught_up.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(stream.worker.RankerFollower, "run", follow)
    return calls


@pytest.fixture
async def worker(settings, started, monkeypatch):
    made = Worker(settings, MemoryInput())

    async def follow():
        started.append("follow")
        made.replica.caught_up.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(made.replica, "run", follow)
    yield made
    if made._lock.is_locked:
        await made.stop()


async def test_a_worker_keeps_all_it_has_in_its_own_folder(worker, tmp_path):
    own = tmp_path / "shop" / "worker-0"
    assert worker.replica._snapshot == own / SNAPSHOT
    assert worker.partitions._folder == own
    assert worker.loop._partitions is worker.partitions


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_what_decides_is_told_of_published_slates_only_at_least_once(tmp_path, guarantee):
    worker = Worker(Settings(data_dir=tmp_path, processing_guarantee=guarantee), MemoryInput())
    decide = worker.loop._work.keywords["engine"].decide
    if guarantee == "at_least_once":
        assert worker.partitions._published is decide
        decide = decide._decide
    else:
        assert worker.partitions._published is None
    assert decide._models is worker.replica.models
    await worker.stop()


async def test_beliefs_are_those_of_the_replica_from_the_next_slate_on(tmp_path):
    worker = Worker(Settings(data_dir=tmp_path), MemoryInput())
    decide = worker.loop._work.keywords["engine"].decide
    worker.replica._tell(PRIOR)
    assert decide.beliefs is PRIOR
    await worker.stop()


async def test_a_ranker_that_is_taken_up_decides_from_then_on(tmp_path):
    worker = Worker(Settings(data_dir=tmp_path), MemoryInput())
    decide = worker.loop._work.keywords["engine"].decide
    assert decide.ranker is None
    worker.rankers._take([SimpleNamespace(value=made_artefact(), offset=0)])
    assert decide.ranker.version == worker.rankers.artefact.version
    worker.rankers._take([SimpleNamespace(value=None, offset=1)])
    assert decide.ranker is None
    await worker.stop()


async def test_the_pages_can_be_scraped_before_the_worker_starts_and_after_it_stopped(worker):
    def scraped():
        return generate_latest(worker.metrics.registry).decode()

    assert "freshslate_partitions_open 0.0" in scraped()
    await worker.start()
    assert "freshslate_replica_caught_up 1.0" in scraped()
    await worker.stop()
    assert f'version="{version("freshslate")}"' in scraped()


async def test_the_delay_of_the_event_loop_is_sampled_while_the_worker_runs(worker, monkeypatch):
    monkeypatch.setattr(stream.worker, "pulse", partial(stream.worker.pulse, seconds=0.001))
    await worker.start()
    await until(lambda: worker.metrics.histogram(LOOP_DELAY).count >= 2)
    await worker.stop()
    seen = worker.metrics.histogram(LOOP_DELAY).count
    await asyncio.sleep(0.005)
    assert worker.metrics.histogram(LOOP_DELAY).count == seen


async def test_every_worker_has_a_transactional_id_of_its_own(worker, settings):
    other = Worker(settings, MemoryInput())
    ids = [each._transactional_id for each in (worker, other)]
    assert ids[0] != ids[1]
    assert all(each.startswith("shop-") for each in ids)
    assert worker.loop._work.keywords["engine"].writer == ids[0] == worker.loop._publisher.transactional_id
    await other.stop()


async def test_the_rules_of_the_file_are_in_force_and_watched(tmp_path, started, monkeypatch):
    path = tmp_path / "rules.toml"
    path.write_text('exclude = ["a"]')
    monkeypatch.setattr(stream.watched_file, "LOOK_SECONDS", 0.001)
    worker = Worker(Settings(data_dir=tmp_path, rules_file=path), MemoryInput())
    worker.replica.caught_up.set()
    monkeypatch.setattr(worker.replica, "run", asyncio.Event().wait)
    decide = worker.loop._work.keywords["engine"].decide
    assert decide._book.rules.exclude == {"a"}
    await worker.start()
    path.write_text("category_limit = 1")
    await until(lambda: decide._book.rules.category_limit == 1)
    await worker.stop()


def test_a_wrong_file_of_rules_keeps_the_worker_from_being_built(tmp_path):
    with pytest.raises(SetupError, match=r"nothing\.toml cannot be followed: No such file"):
        Worker(Settings(data_dir=tmp_path, rules_file=tmp_path / "nothing.toml"), MemoryInput())


async def test_the_policies_of_the_file_serve_are_watched_and_warm_before_they_change(
    tmp_path, started, monkeypatch
):
    path = tmp_path / "policy.toml"
    path.write_text('[[arm]]\npolicy = "softmax"\nshare = 1\n')
    monkeypatch.setattr(stream.watched_file, "LOOK_SECONDS", 0.001)
    warmed = []
    monkeypatch.setattr(
        stream.worker, "warm_policies", lambda plan, settings: warmed.append((plan, decide.assignment))
    )
    worker = Worker(Settings(data_dir=tmp_path, policy_file=path), MemoryInput())
    worker.replica.caught_up.set()
    monkeypatch.setattr(worker.replica, "run", asyncio.Event().wait)
    decide = worker.loop._work.keywords["engine"].decide
    first = decide.assignment
    assert [each.name for each in first.policies] == ["softmax"]
    await worker.start()
    path.write_text('[[arm]]\npolicy = "greedy"\nshare = 1\n')
    await until(lambda: decide.assignment is not first)
    assert [each.name for each in decide.assignment.policies] == ["greedy"]
    assert warmed == [(decide.assignment, first)]
    await worker.stop()


def test_a_wrong_policy_file_keeps_the_worker_from_being_built(tmp_path):
    (tmp_path / "policy.toml").write_text('[[arm]]\npolicy = "greedy"\nshare = 2\n')
    with pytest.raises(SetupError, match=r"line 3: arm 1.share: 2 is not a number in \[0, 1\]"):
        Worker(Settings(data_dir=tmp_path, policy_file=tmp_path / "policy.toml"), MemoryInput())


async def test_plugged_in_sources_propose_and_learn(tmp_path, monkeypatch):
    code = "from tests.state.contracts.test_sources import Seen\n"
    groups = {"freshslate.sources": {"seen": "acme_seen:Seen"}}
    monkeypatch.syspath_prepend(install(tmp_path / "site", "acme-seen", {"acme_seen.py": code}, groups))
    worker = Worker(Settings(data_dir=tmp_path, sources=(("seen", 0.5),)), MemoryInput())
    decide = worker.loop._work.keywords["engine"].decide
    (plugged,) = decide._plugged.plugged
    assert (plugged.name, plugged.weight) == ("seen", 0.5)
    assert worker.replica._sources == {"seen": plugged.source}
    await worker.stop()


async def test_topics_kernels_and_models_come_before_the_loop(worker, started):
    await worker.start()
    assert started == [("cluster", "localhost:9092", "worker"), "warm", "follow"]
    assert [task.get_name() for task in worker._tasks] == ["replica", "rankers", "pulse", "loop", "heartbeat"]


async def test_without_an_interval_no_heartbeat_is_sent(settings, started, monkeypatch):
    made = Worker(settings.model_copy(update={"canary_seconds": 0.0}), MemoryInput())
    made.replica.caught_up.set()
    monkeypatch.setattr(made.replica, "run", asyncio.Event().wait)
    await made.start()
    assert "heartbeat" not in [task.get_name() for task in made._tasks]
    await made.stop()


async def test_a_worker_whose_topics_do_not_fit_does_not_start(worker, monkeypatch):
    async def check(settings, role):
        raise SetupError("too few partitions")

    monkeypatch.setattr(stream.worker, "check_cluster", check)
    with pytest.raises(SetupError):
        await worker.start()
    assert worker._tasks == []


async def test_models_that_cannot_be_read_keep_the_worker_from_starting(worker, monkeypatch):
    async def fail():
        raise ConnectionError("no broker")

    monkeypatch.setattr(worker.replica, "run", fail)
    with pytest.raises(ConnectionError):
        await worker.start()
    assert [task.get_name() for task in worker._tasks] == ["replica"]


async def test_a_stop_during_the_catching_up_leaves_nothing_running(worker, monkeypatch):
    async def for_ever():
        await asyncio.Event().wait()

    monkeypatch.setattr(worker.replica, "run", for_ever)
    starting = asyncio.create_task(worker.start())
    async with asyncio.timeout(20):
        while not worker._tasks:
            await asyncio.sleep(0)
    (following,) = worker._tasks
    starting.cancel()
    await worker.stop()
    assert following.cancelled()


@pytest.mark.parametrize("part", [0, 1, 2, 3])
async def test_run_raises_the_error_of_whatever_part_fails(worker, part, monkeypatch):
    await worker.start()

    async def fail():
        raise StopWorker("look at it")

    worker._tasks[part].cancel()
    await asyncio.gather(worker._tasks[part], return_exceptions=True)
    worker._tasks[part] = asyncio.create_task(fail())
    with pytest.raises(StopWorker):
        await worker.run()


async def test_stopping_ends_every_part_and_frees_the_folder(worker, settings):
    await worker.start()
    parts = list(worker._tasks)
    await worker.stop()
    assert [task.cancelled() for task in parts] == [True] * 5
    lock = own_folder(settings)
    assert folder(lock).name == "worker-0"
    lock.release()


async def test_a_stop_says_what_it_waits_for(worker, monkeypatch):
    said = []

    async def stop():
        said.append(worker.stopping.waits_for)

    assert worker.stopping.waits_for == "the start to be given up"
    monkeypatch.setattr(worker.loop, "stop", stop)
    await worker.stop()
    monkeypatch.setattr(type(worker.partitions), "restoring", {3: 70, 1: 2})
    await worker.stop()
    assert said == ["the running cycle to be committed", "partitions [1, 3] to be restored"]
    assert worker.stopping.waits_for == "the group to be left"


async def test_at_its_start_the_worker_says_what_is_not_wise(tmp_path, started, monkeypatch, caplog):
    worker = Worker(Settings(data_dir=tmp_path, replication=2), MemoryInput())
    worker.replica.caught_up.set()

    async def follow():
        await asyncio.Event().wait()

    monkeypatch.setattr(worker.replica, "run", follow)
    with caplog.at_level(logging.WARNING):
        await worker.start()
    await worker.stop()
    assert "FRESHSLATE_REPLICATION" in caplog.text


async def test_a_worker_that_never_started_can_be_stopped(worker):
    await worker.stop()
    assert not worker._lock.is_locked


async def test_a_start_ends_what_its_folders_last_worker_left_open(tmp_path, started, ended, monkeypatch):
    settings = Settings(data_dir=tmp_path, app_id="shop")
    first = Worker(settings, MemoryInput())
    await first.stop()
    second = Worker(settings, MemoryInput())

    async def follow():
        started.append("follow")
        second.replica.caught_up.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(second.replica, "run", follow)
    await second.start()
    assert [(who, str(where)) for who, where in ended] == [(first._transactional_id, "localhost:9092")]
    await second.stop()
