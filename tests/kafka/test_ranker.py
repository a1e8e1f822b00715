"""A ranker on real topics: trained on what workers logged, taken up by them as they run."""

import pytest
from aiokafka import AIOKafkaProducer

from state.ranking.features import FEATURE_SET, N_FEATURES
from stream.ranker import decode_ranker, publish_ranker
from stream.retrain import train_on_log
from stream.training import TrainingRules
from tests.kafka.harness import clicks, read_json, send, shop, until
from tests.kafka.test_commands import Shell
from tests.stream.made_ranker import lightgbm_or_skip, made_artefact

pytestmark = pytest.mark.kafka
HOUR_MS = 3_600_000


async def slates_of(it):
    """Every slate, by the record that it answers."""
    return sorted(await read_json(it, it.settings.slates_topic), key=lambda slate: slate["time"])


async def test_workers_take_up_a_ranker_as_they_run_and_refuse_a_damaged_one(broker, tmp_path):
    async with shop(broker, "ranker.", tmp_path, slate_size=5, candidates=20) as it:
        worker = it.start()
        await it.started()
        sent = await send(it, clicks(800))
        await it.settled(sent)
        assert all("ranker" not in slate for slate in await slates_of(it))

        version = decode_ranker(made_artefact()).version
        await publish_ranker(it.settings, made_artefact())
        await until(lambda: f"ranker {version} serves" in it.log(worker), 30, it.logs)
        sent += await send(it, clicks(400, seed=2))
        await it.settled(sent)
        ranked = [slate for slate in await slates_of(it) if "ranker" in slate]
        assert {slate["ranker"] for slate in ranked} == {version}
        assert len(ranked) > 100
        assert all(item["score"] > 0 for slate in ranked for item in slate["items"])

        await publish_broken(it)
        await until(lambda: "is left out: it is damaged" in it.log(worker), 30, it.logs)
        again = it.start()
        await until(lambda: f"ranker {version} serves" in it.log(again), 60, it.logs)

        await publish_ranker(it.settings, None)
        await until(lambda: "no ranker any more" in it.log(worker), 30, it.logs)
        sent += await send(it, clicks(300, seed=3))
        await it.settled(sent)
        assert "ranker" not in (await slates_of(it))[-1]
        report = await it.audit()
        assert report.is_clean, report


async def publish_broken(it):
    """Put bytes on the topic that `publish_ranker` would not."""
    async with AIOKafkaProducer(bootstrap_servers=it.settings.broker) as producer:
        await producer.send_and_wait(
            it.settings.rankers_topic, made_artefact()[:-20], key=b"ranker", partition=0
        )


async def test_a_ranker_is_trained_on_the_slates_that_were_answered(broker, tmp_path):
    lightgbm_or_skip()
    settings = {"slate_size": 10, "candidates": 30, "log_features": True}
    async with shop(broker, "trained.", tmp_path, **settings) as it:
        it.start()
        await it.started()
        # Few items, so that what is clicked next is often in the slate.
        sent = await send(it, clicks(3000, users=100, items=40))
        await it.settled(sent)
        slates = await slates_of(it)
        full = [slate for slate in slates if slate["items"]]
        assert {slate["feature_set"] for slate in full} == {FEATURE_SET}
        assert {len(item["features"]) for slate in full for item in slate["items"]} == {N_FEATURES}

        rules = TrainingRules(num_trees=5, min_data_in_leaf=20)
        artefact = decode_ranker(await train_on_log(it.settings, HOUR_MS, rules))
        assert artefact.card.source == "decision log"
        assert artefact.card.lists >= 200
        assert slates[0]["time"] <= artefact.card.first_time <= artefact.card.last_time
        report = await it.audit()
        assert report.is_clean, report


def test_the_command_publishes_shows_and_withdraws(broker, tmp_path):
    shell = Shell(broker, "rankers.", tmp_path)
    good, saved = tmp_path / "good.ranker", tmp_path / "saved.ranker"
    good.write_bytes(made_artefact())
    version = decode_ranker(made_artefact()).version

    def ranker(*options):
        done = shell.run("ranker", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "freshslate topics create" in shell.run("ranker").stderr
    assert shell.run("topics", "create").returncode == 0
    assert "no ranker is published" in ranker()
    assert version in ranker("--publish", str(good))
    assert version in ranker("--save", str(saved))
    assert saved.read_bytes() == good.read_bytes()
    assert "no ranker is published" in ranker("--withdraw")
