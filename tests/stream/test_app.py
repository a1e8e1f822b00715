import asyncio
import itertools
from functools import partial
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types import TP
from yarl import URL

from state.errors import SetupError
from stream.app import App, AppInput, NoTables, create_app, together
from stream.config import Settings
from stream.transport import ExactlyOnceTransport, Membership, Passed


@pytest.fixture
def make(tmp_path):
    made = []

    def app(**settings):
        found = create_app(Settings(**{"data_dir": tmp_path, "worker_port": 7001} | settings))
        made.append(found)
        return found

    yield app
    for each in made:
        if each._consumer is not None:
            each._consumer._thread.thread_loop.close()


def test_settings_reach_the_configuration_of_faust(make, tmp_path):
    conf = make(
        app_id="shop",
        instance_id="pod-0",
        fetch_bytes=4096,
        session_timeout_seconds=9.0,
        heartbeat_seconds=2.0,
        worker_port=7123,
    ).conf
    assert conf.id == "shop"
    assert conf.consumer_group_instance_id == "pod-0"
    assert conf.consumer_max_fetch_size == 4096
    assert (conf.broker_session_timeout, conf.broker_rebalance_timeout) == (9.0, 9.0)
    assert conf.broker_heartbeat_interval == 2.0
    assert conf.web_port == 7123
    assert conf.datadir == tmp_path / "faust"


async def test_no_tables_are_waited_for(make, monkeypatch):
    tables = make().tables
    assert type(tables) is NoTables
    began = []

    async def channels():
        began.append("channels")

    async def recovery():
        began.append("recovery")

    async def slept(seconds):
        began.append(seconds)

    monkeypatch.setattr(tables, "_update_channels", channels)
    monkeypatch.setattr(tables.recovery, "start", recovery)
    monkeypatch.setattr(tables, "sleep", slept)
    await tables.on_start()
    assert began == ["channels", "recovery"]


def test_what_faust_does_by_accident_is_off(make):
    conf = make().conf
    assert not conf.autodiscover
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert not conf.web_tables_enabled
    assert not conf.stream_wait_empty
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.processing_guarantee.name == "AT_LEAST_ONCE"  # exactly once is the worker's own


def test_every_broker_of_a_list_is_used_with_the_scheme_of_the_guarantee(make):
    app = make(broker="a:1, b:2,c:3")
    assert app.conf.broker == [URL(f"freshslate-exactly-once://{server}") for server in ("a:1", "b:2", "c:3")]
    assert isinstance(app.transport, ExactlyOnceTransport)
    at_least_once = make(processing_guarantee="at_least_once", broker="a:1")
    assert at_least_once.conf.broker == [URL("freshslate-at-least-once://a:1")]


def test_the_pages_are_where_the_settings_say(make):
    app = make(worker_host="0.0.0.0", worker_port=7123)
    assert (app.conf.web_bind, app.first_port) == ("0.0.0.0", 7123)
    assert make(worker_port=0).first_port == 0


def test_the_size_of_chunks_is_the_settings(make):
    assert make(chunk_records=17).chunk_records == 17


async def test_the_consumer_joins_with_the_assignor_that_keeps_equal_partitions_together(make):
    app = make(app_id="shop", instance_id="pod-0", broker="b:1")
    thread = app.consumer._thread
    inner = thread._create_worker_consumer(app.transport)
    assert isinstance(thread._assignor, PartitionAssignor)
    assert thread._assignor is app.assignor
    assert app.assignor.replicas == 1
    assert (inner._group_id, inner._group_instance_id) == ("shop", "pod-0")
    await inner.stop()


def test_topics_of_equal_partition_count_are_assigned_together(make):
    """faust's own assignor, fed by hand: clicks-3 and purchases-3 always live in the same worker."""
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

    class Cluster:
        def topics(self, exclude_internal_topics=True):
            return {"clicks", "purchases"}

        def partitions_for_topic(self, topic):
            return set(range(8))

    app = make()
    assignor = app.assignor
    metadata = assignor.metadata({"clicks", "purchases"})
    members = {
        name: ConsumerProtocolMemberMetadata(metadata.version, metadata.subscription, metadata.user_data)
        for name in ("one", "two", "three")
    }
    assigned = assignor.assign(Cluster(), members)
    numbers = {}
    for name, share in assigned.items():
        by_topic = dict(share.assignment)
        assert sorted(by_topic["clicks"]) == sorted(by_topic["purchases"])
        numbers[name] = by_topic["clicks"]
    assert sorted(itertools.chain(*numbers.values())) == list(range(8))
    assert all(2 <= len(each) <= 3 for each in numbers.values())


# Assignments -----------------------------------------------------------------------------------------

INPUTS = ("clicks", "purchases")


def test_equal_partitions_of_every_input_are_one_assignment():
    assigned = [TP("clicks", 3), TP("purchases", 1), TP("clicks", 1), TP("purchases", 3)]
    assert together(assigned, INPUTS) == {1, 3}


def test_an_assignment_may_be_empty():
    assert together([], INPUTS) == frozenset()


@pytest.mark.parametrize(
    "assigned", [[TP("clicks", 1)], [TP("clicks", 1), TP("purchases", 2)]], ids=["one alone", "crossed"]
)
def test_partitions_that_do_not_belong_together_stop_the_worker(assigned):
    with pytest.raises(SetupError, match="not assigned together"):
        together(assigned, INPUTS)


def test_a_topic_that_is_no_input_does_not_count():
    assert together([TP("clicks", 0), TP("purchases", 0), TP("other", 7)], INPUTS) == {0}


# Life cycle ------------------------------------------------------------------------------------------


class Vitals:
    """Notes that they are watched."""

    def __init__(self, calls):
        self.calls = calls

    async def run(self):
        self.calls.append("watch")


class Worker:
    """A worker that does nothing but note when it is asked to."""

    def __init__(self, error=None):
        self.error = error
        self.calls = []

    async def start(self):
        self.calls.append("start")

    async def run(self):
        self.calls.append("run")
        if self.error:
            raise self.error

    async def stop(self):
        self.calls.append("stop")


@pytest.fixture
def worked(make):
    """Makes an app around a worker that takes notes, and pages that do, too."""

    def app(error=None, **settings):
        found = make(**settings)
        found.worker = Worker(error)
        found.vitals = Vitals(found.worker.calls)

        async def serve():
            found.worker.calls.append("serve")

        found.web.maybe_start = serve
        return found

    return app


async def test_the_pages_are_there_before_the_worker_starts_and_it_stops_with_the_app(worked):
    app = worked()
    await app.on_start()
    await asyncio.gather(*app._futures)
    await app.on_stop()
    assert app.worker.calls[:2] == ["serve", "start"]
    assert sorted(app.worker.calls[2:-1]) == ["run", "watch"]
    assert app.worker.calls[-1] == "stop"


@pytest.mark.parametrize("in_worker", [True, False])
async def test_the_stop_of_a_process_is_bounded_before_anything_is_waited_for(worked, in_worker):
    app = worked()
    app.in_worker = in_worker  # faust sets it for a process of its own
    app.worker.stopping = SimpleNamespace(begin=partial(app.worker.calls.append, "begin"))
    await app.on_stop()
    assert app.worker.calls == (["begin", "stop"] if in_worker else ["stop"])


async def test_without_web_there_are_no_pages(worked):
    app = worked()
    app.conf.web_enabled = False  # as `faust worker --without-web` does
    await app.on_start()
    await asyncio.gather(*app._futures)
    assert "serve" not in app.worker.calls


async def test_a_worker_that_cannot_start_keeps_the_app_from_starting(worked):
    app = worked()

    async def start():
        raise RuntimeError("the topics do not fit")

    app.worker.start = start
    with pytest.raises(RuntimeError, match="do not fit"):
        await app.on_start()
    await asyncio.gather(*app._futures)


async def test_the_error_of_the_worker_crashes_the_process(make):
    app = make()
    app.worker = Worker(ValueError("a bug"))
    crashed = []

    async def crash(error):
        crashed.append(error)

    app.crash = crash
    await app._watch()
    assert crashed == [app.worker.error]


# What the loop needs of the consumer -----------------------------------------------------------------


class Consumer:
    def __init__(self):
        self.membership = Membership(4, "m", None)
        self.passed = {TP("events", 0): Passed(17, 19)}


class Inner:
    """The library's consumer, which belongs to its thread; every call notes the loop that made it."""

    def __init__(self):
        self.calls = []
        self._coordinator = SimpleNamespace(request_rejoin=lambda: self.note("rejoin"))

    def note(self, *call):
        self.calls.append((*call, asyncio.get_running_loop()))

    def assignment(self):
        return frozenset({TopicPartition("events", 0)})

    def seek(self, tp, offset):
        self.note("seek", tp, offset)


async def in_its_thread(app, inner, ask):
    """Ask for something, then let the consumer's thread run; its loop."""
    thread = app.consumer._thread
    thread._ensure_consumer = lambda: inner
    await ask(AppInput(app))
    assert inner.calls == []
    thread.thread_loop.call_soon(thread.thread_loop.stop)
    await asyncio.to_thread(thread.thread_loop.run_forever)
    return thread.thread_loop


@pytest.fixture
def consumer(make, monkeypatch):
    found = Consumer()
    monkeypatch.setattr(App, "consumer", found)
    return found


async def test_a_seek_is_done_in_the_consumers_own_thread(make):
    inner = Inner()
    loop = await in_its_thread(make(), inner, lambda source: source.seek("events", 0, 17))
    assert inner.calls == [("seek", TopicPartition("events", 0), 17, loop)]


async def test_a_partition_that_was_taken_away_is_not_sought(make):
    inner = Inner()
    await in_its_thread(make(), inner, lambda source: source.seek("events", 1, 17))
    assert inner.calls == []


async def test_the_membership_is_the_consumers(make, consumer):
    assert AppInput(make()).membership == Membership(4, "m", None)


async def test_how_far_was_read_is_the_consumers(make, consumer):
    assert AppInput(make()).passed() == {TP("events", 0): Passed(17, 19)}


async def test_a_rejoin_is_asked_for_in_the_consumers_own_thread(make):
    inner = Inner()
    loop = await in_its_thread(make(), inner, lambda source: source.rejoin())
    assert inner.calls == [("rejoin", loop)]


def test_a_topic_partition_of_faust_equals_one_of_aiokafka():
    """Both are used as keys of the same mappings."""
    assert TP("events", 3) == TopicPartition("events", 3)
    assert hash(TP("events", 3)) == hash(TopicPartition("events", 3))
