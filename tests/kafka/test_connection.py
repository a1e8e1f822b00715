"""The whole engine against a broker that wants TLS, a password and ACLs; and everything that can be wrong."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.kafka.acls import apply
from state.event import Event, EventItem
from stream.access import (
    GROUP,
    READ,
    ROLES,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    AccessDenied,
    Need,
    worker_needs,
)
from stream.child import WORKER, environment
from stream.cluster import check_cluster, cluster_problems
from stream.config import Settings
from stream.connection import arguments, connection
from stream.event_file import EventList
from stream.gate import PAUSE_SECONDS
from stream.inspection import inspect_user
from stream.knock import BrokerRefusesError, BrokerUnreachableError, knock
from stream.proxy import Proxy
from stream.replay import replay
from stream.topics import admin_client, create_topics, topic_specs
from tests.kafka.harness import ROOT, Shop, clicks, send, until
from tests.kafka.secured import (
    CERTIFIED,
    PASSWORD,
    TOKEN_SECONDS,
    TOKENS_FILE,
    TOKENS_USER,
    SecuredBroker,
    refuse_tokens,
    secured_broker,
    token_times,
)
from tests.kafka.test_health import address, probe
from tests.kafka.test_monitor import ADDRESS, Scraped, scrape

TRIES = 50
MOST_TRIES = 40
"""Connections in two pauses, of all clients of a worker; each alone would try again after 0.1 s."""
MOST_CALLS = 4
"""For a token in one pause, of the monitor's connections; each alone would try again after 0.1 s."""
COMMANDS = (sys.executable, "-m", "agents.commands")
WAYS: tuple[Callable[[SecuredBroker], dict[str, Any]], ...] = (
    lambda _: {},
    SecuredBroker.by_token,
    SecuredBroker.by_certificate,
)
"""What of the settings is otherwise for a worker by SCRAM, by OAUTHBEARER, by mutual TLS."""
REFUSED = "FRESHSLATE_KAFKA_SASL_PASSWORD"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as it:
        yield it


@asynccontextmanager
async def line(kafka: SecuredBroker) -> AsyncIterator[Proxy]:
    """What clients come through, which counts them."""
    async with Proxy(kafka.ports["PROXY"], kafka.ports["SECURED"]) as proxy:
        yield proxy


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("a wrong password", {"kafka_sasl_password": "guess"}, "does not let in user worker (SCRAM-SHA-512)"),
    (
        "a wrong password, PLAIN",
        {"kafka_sasl_password": "guess", "kafka_sasl_mechanism": "PLAIN"},
        "does not let in user worker (PLAIN)",
    ),
    ("another mechanism", {"kafka_sasl_mechanism": "SCRAM-SHA-256"}, "KAFKA_SASL_MECHANISM"),
    ("an unknown authority", {"kafka_ca_file": "other_authority"}, "set FRESHSLATE_KAFKA_CA_FILE"),
    ("the wrong host", {"broker": "localhost"}, "is not for 'localhost': set FRESHSLATE_BROKER"),
    (
        "a client without TLS or password on a port that wants both",
        {"open": True},
        "speaks TLS on this port: set FRESHSLATE_KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL",
    ),
    ("a client without TLS", {"kafka_security_protocol": "SASL_PLAINTEXT"}, "=SASL_SSL, not SASL_PLAINTEXT"),
    ("a client that says not who it is", {"kafka_security_protocol": "SSL"}, "wants to know who we are"),
    ("TLS where there is none", {"at": "OPEN"}, "does not speak TLS on this port"),
    (
        "a password where none is asked for",
        {"at": "OPEN", "kafka_security_protocol": "SASL_PLAINTEXT"},
        "asks nobody who they are on this port: set FRESHSLATE_KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
    ),
    ("an expired certificate", {"at": "EXPIRED", "kafka_security_protocol": "SSL"}, "has expired"),
    (
        "no certificate of ours",
        {"at": "MUTUAL", "kafka_security_protocol": "SSL"},
        "set FRESHSLATE_KAFKA_CERT_FILE",
    ),
    (
        "an expired certificate of ours",
        {"at": "MUTUAL", "kafka_security_protocol": "SSL", "kafka_cert_file": "old_client"},
        "old-client.pem (",
    ),
    (
        "a certificate of ours that nobody knows",
        {"at": "MUTUAL", "kafka_security_protocol": "SSL", "kafka_cert_file": "strange_client"},
        "it must not have expired, and an authority that the broker trusts must have signed it",
    ),
    ("no token", {"provider": "no_token"}, "no_token gave no token: RuntimeError"),
    ("an expired token", {"provider": "expired_token"}, "the broker does not take the token"),
]


def settings_of(kafka: SecuredBroker, change: dict[str, Any]) -> Settings:
    change = dict(change)
    if change.pop("open", False):
        return Settings(broker=kafka.at("SECURED"))
    if provider := change.pop("provider", None):
        return Settings(
            broker=kafka.at("TOKENS"),
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism="OAUTHBEARER",
            kafka_oauth_provider=f"tests.kafka.secured:{provider}",
        )
    port = change.pop("at", "SECURED")
    change["broker"] = f"{change.get('broker', '127.0.0.1')}:{kafka.ports[port]}"
    for name in ("kafka_ca_file", "kafka_cert_file"):
        if name in change:
            change[name] = getattr(kafka.certificates, change[name])
    protocol = change.get("kafka_security_protocol", "SASL_SSL")
    if protocol == "SSL":
        change |= dict.fromkeys(("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"))
    if protocol == "SASL_PLAINTEXT":
        change["kafka_ca_file"] = None
    return kafka.settings(**change)


async def test_whatever_keeps_us_out_is_one_error_that_says_what_to_do(kafka: SecuredBroker) -> None:
    for name, change, told in WRONG:
        with pytest.raises(BrokerRefusesError) as caught:
            await knock(connection(settings_of(kafka, change)))
        assert told in str(caught.value), name
        assert PASSWORD not in str(caught.value), name
        assert "docs/security.md" in str(caught.value), name
    mutual = {"at": "MUTUAL", "kafka_security_protocol": "SSL", "kafka_cert_file": "client"}
    async with line(kafka):
        for change in ({}, {"kafka_sasl_mechanism": "PLAIN"}, {"provider": "token"}, mutual):
            await knock(connection(settings_of(kafka, change)))
    with pytest.raises(BrokerUnreachableError, match="refused"):
        await knock(connection(kafka.settings(broker=kafka.at("PROXY"))))
    # It is there, and sends clients to a place that is not.
    with pytest.raises(BrokerRefusesError, match=r"connection refused. Its advertised\.listeners must"):
        await knock(connection(settings_of(kafka, {})))


async def test_a_connection_keeps_the_files_it_was_made_with_and_the_next_one_reads_them_anew(
    kafka: SecuredBroker, tmp_path: Path
) -> None:
    """What a rotation needs: whoever runs goes on with the old files, for new connections too."""
    keys, mine, trusted = kafka.certificates, tmp_path / "mine.pem", tmp_path / "ca.pem"
    settings = kafka.settings(
        **kafka.by_certificate() | {"kafka_cert_file": mine, "kafka_ca_file": trusted},
    )
    for path, good, bad, told in (
        (mine, keys.client, keys.old_client, "does not take the certificate"),
        (trusted, keys.authority, keys.other_authority, "from nobody we know"),
    ):
        mine.write_bytes(keys.client.read_bytes())
        trusted.write_bytes(keys.authority.read_bytes())
        before = connection(settings)
        path.write_bytes(bad.read_bytes())
        await knock(before)
        with pytest.raises(BrokerRefusesError, match=told):
            await knock(connection(settings))
        path.write_bytes(good.read_bytes())
        await knock(connection(settings))


async def test_a_worker_with_a_wrong_password_connects_once_says_so_and_ends(
    kafka: SecuredBroker, tmp_path: Path
) -> None:
    settings = kafka.settings(kafka_sasl_password="guess-of-ours", data_dir=tmp_path, log_level="debug")
    async with line(kafka) as proxy:
        told = await asyncio.to_thread(
            subprocess.run,
            WORKER,
            env={**os.environ, **environment(settings)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 1
        assert proxy.connections == 1
    said = told.stderr.strip()
    assert said.startswith("freshslate: the Kafka broker at 127.0.0.1:"), said
    assert "does not let in user worker" in said
    assert REFUSED in said
    assert "guess-of-ours" not in told.stdout + told.stderr
    assert "Traceback" not in told.stderr


async def test_what_acls_do_not_allow_is_named_before_anything_runs(
    kafka: SecuredBroker, prefix: str
) -> None:
    settings = kafka.settings("lacking", topic_prefix=prefix, app_id=f"{prefix}app")
    await create_topics(kafka.broker.address, topic_specs(settings))
    lacking = [
        Need(TOPIC, settings.slates_topic, WRITE),
        Need(TOPIC, settings.rankers_topic, READ),
        Need(GROUP, settings.app_id, READ),
        Need(TRANSACTIONAL_ID, f"{settings.app_id}-", WRITE, is_prefix=True),
    ]
    rest = [need for need in worker_needs(settings) if need not in lacking]
    assert len(rest) == len(worker_needs(settings)) - len(lacking)
    await apply(kafka.broker.address, rest, "User:lacking")
    async with line(kafka):
        for number in range(len(lacking)):
            denied = await denial(settings, len(lacking) - number)
            assert set(denied.missing) == set(lacking[number:])
            assert str(lacking[number]) in str(denied)
            assert "user lacking (SCRAM-SHA-512)" in str(denied)
            told = [problem.text.partition("; `python")[0] for problem in await cluster_problems(settings)]
            assert told == [f"not allowed: {need}" for need in denied.missing]
            await apply(kafka.broker.address, lacking[number : number + 1], "User:lacking")
        await allowed(settings, "worker")
        await apply(kafka.broker.address, ROLES["monitor"](settings), "User:owner")
        await allowed(kafka.settings("owner", topic_prefix=prefix), "monitor")


async def denial(settings: Settings, count: int) -> AccessDenied:
    """What the check says once it lacks so many things; a broker learns of ACLs a moment later."""
    for _ in range(TRIES):
        with pytest.raises(AccessDenied) as caught:
            await check_cluster(settings, "worker")
        if len(caught.value.missing) == count:
            break
        await asyncio.sleep(0.1)
    return caught.value


async def allowed(settings: Settings, role: str) -> None:
    """Check, and again where a broker has not learnt of the ACLs yet."""
    for _ in range(TRIES):
        with suppress(AccessDenied):
            await check_cluster(settings, role)
            return
        await asyncio.sleep(0.1)
    await check_cluster(settings, role)


async def test_workers_by_password_token_and_certificate_share_a_group_and_commands_go_the_same_ways(
    kafka: SecuredBroker, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCRAM, OAUTHBEARER and mutual TLS: each serves its share, so go monitor and commands too."""
    tokens = tmp_path / "tokens"
    monkeypatch.setenv(TOKENS_FILE, str(tokens))
    it = Shop(kafka.broker.address, prefix, tmp_path, partitions=len(WAYS))
    common = it.settings.model_dump(exclude_unset=True, exclude={"broker"})
    owner = kafka.settings("owner", **common)
    await create_topics(kafka.broker.address, topic_specs(it.settings))
    for principal in ("User:worker", CERTIFIED):
        await apply(kafka.broker.address, worker_needs(it.settings), principal)
    for role in ("monitor", "analyst", "operator"):
        await apply(kafka.broker.address, ROLES[role](it.settings), "User:owner")
    try:
        async with line(kafka):
            await workers_share(it, kafka, common)
            sent = await send(it, clicks(600))
            await it.settled(sent)
            by_token = kafka.settings(**kafka.by_token(), **common, monitor_port=0, monitor_wait_seconds=1)
            seen = await monitored(it, by_token)
            await tokens_renewed(it, tokens)
            sent += await send(it, clicks(600, seed=2))
            await it.settled(sent)
            await seen.until("freshslate_monitor_matured_slates_total", say=it.logs)
            refused_since = time.time()
            refuse_tokens(tokens, "owner")
            sent += await letters_and_a_user_are_dealt_with(owner)
            await it.settled(sent)
            report = await it.audit()
            assert report.is_clean, report
            assert report.forgotten == 1
            for worker in it.workers[: len(WAYS)]:
                assert "freshslate_slates_total" in (values := await scrape(await address(it, worker)))
                assert sum(values["freshslate_slates_total"].values()) > 0
                worker.terminate()
            ended = [await asyncio.to_thread(each.wait, 30) for each in it.workers[: len(WAYS)]]
            assert ended == [0] * len(WAYS), it.logs()
            await everything_moves(kafka, owner)
            await asked_seldom(it, tokens, refused_since)
        assert PASSWORD not in it.logs()
    finally:
        for process in it.workers:
            process.kill()
            process.wait()


async def workers_share(it: Shop, kafka: SecuredBroker, common: dict[str, Any]) -> None:
    """Start a worker each way, and wait until each has its share of the partitions."""
    opened = it.settings
    for changes in WAYS:
        it.settings = kafka.settings(**changes(kafka), **common, worker_port=0)
        it.start()
    it.settings = opened
    deadline = time.monotonic() + 60
    pages = [f"{await address(it, worker)}/readyz" for worker in it.workers]
    while True:
        held = [(await probe(page))[1].get("restored", []) for page in pages]
        if sorted(held) == [[0], [1], [2]]:
            return
        assert time.monotonic() < deadline, (held, it.logs()[-8000:])
        await asyncio.sleep(0.1)


async def monitored(it: Shop, settings: Settings) -> Scraped:
    """Start the monitor; its pages."""
    opened, it.settings = it.settings, settings
    monitor = it.start(command=[*COMMANDS, "monitor"], **{TOKENS_USER: "owner"})
    it.settings = opened
    await until(lambda: ADDRESS.search(it.log(monitor)), 60, lambda: it.log(monitor))
    found = ADDRESS.search(it.log(monitor))
    assert found is not None
    return Scraped(found[1])


async def tokens_renewed(it: Shop, file: Path) -> None:
    """Wait until worker and monitor have got another token after the end of their first."""

    def renewed() -> bool:
        times = token_times(file)
        return len(times) == 2 and all(max(each) - min(each) > TOKEN_SECONDS for each in times.values())

    await until(renewed, 60, it.logs)


async def asked_seldom(it: Shop, file: Path, since: float) -> None:
    """The monitor, whose tokens are refused meanwhile, asks again once in a pause and not in a storm."""

    def calls() -> list[float]:
        return [at for at in token_times(file)["owner"] if at > since]

    await until(lambda: calls() and calls()[-1] - calls()[0] >= PAUSE_SECONDS, 60, it.logs)
    found = calls()
    assert len(found) <= MOST_CALLS * (1 + (found[-1] - found[0]) / PAUSE_SECONDS), found
    assert "does not take the token" in it.log(it.workers[-1])


def command(settings: Settings, *arguments: str) -> str:
    """What a command prints that goes well."""
    made = subprocess.run(
        [*COMMANDS, *arguments],
        env={**os.environ, **environment(settings), "COLUMNS": "200"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr + made.stdout
    assert PASSWORD not in made.stdout + made.stderr
    return made.stdout


async def letters_and_a_user_are_dealt_with(owner: Settings) -> int:
    """Dead letters are listed and sent again, and a user is forgotten; how many events that makes."""
    told, forgotten = await asyncio.gather(
        asyncio.to_thread(command, owner, "dlq", "list", "--json"),
        asyncio.to_thread(command, owner, "forget", "u1", "--yes", "--json"),
    )
    waiting = sum(each["letters"] for each in json.loads(told)["counts"])
    assert waiting > 0
    assert json.loads(forgotten)
    again = await asyncio.to_thread(command, owner, "dlq", "redrive", "--all", "--json")
    assert json.loads(again)["letters"] == waiting
    return waiting + 1


async def everything_moves(kafka: SecuredBroker, owner: Settings) -> None:
    """All that is known goes to topics with more partitions, by who may do no more than that."""
    names = {"topic_prefix": f"{owner.topic_prefix}wider.", "app_id": f"{owner.app_id}-wider"}
    wider = owner.model_copy(update={**names, "partitions": 5})
    await apply(kafka.broker.address, ROLES["mover"](wider), "User:owner")
    where = ["--to-prefix", wider.topic_prefix, "--to-app-id", wider.app_id, "--partitions", "5"]
    # Who is told to stop while the others leave may be forgotten only after a session.
    async with admin_client(connection(owner)) as admin:
        for _ in range(TRIES):
            (answer,) = await admin.describe_consumer_groups([owner.app_id])
            if not any(group[5] for group in answer.groups):
                break
            await asyncio.sleep(1)
    told = await asyncio.to_thread(command, owner, "topics", "move", *where)
    assert "byte for byte" in told


async def test_a_worker_with_the_documented_acls_answers_every_event_once_over_sasl_ssl(
    kafka: SecuredBroker, prefix: str, tmp_path: Path
) -> None:
    """Also the commands; and at the end the password becomes a wrong one under the running worker."""
    common: dict[str, Any] = {
        "topic_prefix": prefix,
        "app_id": f"{prefix}app",
        "partitions": 2,
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_compression": "zstd",
    }
    mine = kafka.settings("worker", data_dir=tmp_path / "data", worker_port=0, lag_poll_seconds=0.5, **common)
    owner = kafka.settings("owner", **common)
    for role in ("setup", "shop", "analyst"):
        await apply(kafka.broker.address, ROLES[role](owner), "User:owner")
    await apply(kafka.broker.address, worker_needs(mine), "User:worker")
    async with line(kafka) as proxy:
        await create_topics(connection(owner), topic_specs(owner))
        it = Shop(mine.broker, prefix, tmp_path)
        it.settings = mine
        worker = it.start()
        try:
            await it.started()
            now = int(time.time() * 1000)
            again = [
                Event(event_id=f"r{n}", type="click", user_id="u0", items=(EventItem("i1"),), time=now)
                for n in range(20)
            ]
            replayed = await replay(owner, EventList(again))
            sent = await packed_events(owner) + replayed.sent
            it.settings = owner
            await it.settled(sent)
            report = await it.audit()
            assert report.is_clean, report
            found = await inspect_user(owner, "u0", slates=1)
            assert found.profile is not None
            await asyncio.to_thread(kafka.change_password, "another-one")
            await until(lambda: "does not let in user worker" in it.log(worker), 60, it.logs)
            url = f"{await address(it, worker)}/healthz"
            before, (_, first) = proxy.connections, await probe(url)
            page = first
            while page["uptime_seconds"] < first["uptime_seconds"] + 2 * PAUSE_SECONDS:
                await asyncio.sleep(0.2)
                _, page = await probe(url)
            assert proxy.connections - before <= MOST_TRIES
            log = it.log(worker)
            assert log.count("lag is not known: the Kafka broker at") == 1
            assert "does not let in user worker (PLAIN)" in page["reasons"][0]
            assert worker.poll() is None
            assert PASSWORD not in log
        finally:
            worker.kill()
            worker.wait()


async def packed_events(settings: Settings) -> int:
    """Send events as other producers do, who pack them with whatever they like; how many."""
    events = list(clicks(400, users=40))
    for number, packing in enumerate(("lz4", "zstd", "snappy", "gzip")):
        async with AIOKafkaProducer(**arguments(connection(settings)), compression_type=packing) as producer:
            for event in events[number::4]:
                await producer.send(
                    settings.input_topics[0], json.dumps(event).encode(), key=str(event["user_id"]).encode()
                )
    return len(events)
