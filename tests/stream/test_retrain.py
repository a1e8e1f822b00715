import asyncio

import pytest

from state.evaluation.contenders import Engine
from state.evaluation.protocols import frozen
from stream import retrain
from stream.codecs import encode_event
from stream.config import Settings
from stream.decision_log import Logged
from stream.event_file import EventFile
from stream.ranker import RankerRefused, decode_ranker
from stream.retrain import artefact_of, retrain_for_ever, train_before_test, train_on_file, train_on_log
from stream.training import TrainingError, TrainingRules, train
from tests.state.evaluation.logs import DAY, log_of, shop
from tests.state.evaluation.logs import T as T_OF_FILE
from tests.stream.made_ranker import T, lightgbm_or_skip, made_examples

FEW = TrainingRules(num_trees=2, min_data_in_leaf=20)
NOTHING = made_examples(0)


@pytest.fixture
def logged(monkeypatch):
    """Let the decision log hold this."""

    def hold(examples, slates):
        async def read(settings, since):
            assert settings.broker == "b:1"
            return Logged(examples, T, T + 1000, slates)

        monkeypatch.setattr(retrain, "read_decision_log", read)

    return hold


async def test_the_card_says_what_was_learned_from(logged):
    lightgbm_or_skip()
    logged(made_examples(), 400)
    card = decode_ranker(await train_on_log(Settings(broker="b:1"), 1000, FEW)).card
    assert (card.source, card.first_time, card.last_time) == ("decision log", T, T + 1000)
    assert (card.lists, card.rows, card.rewarded) == (400, 4000, 400)
    assert card.parameters["num_trees"] == 2
    assert card.metrics["judged_lists"] == 80


async def test_slates_without_features_are_told_from_no_slates(logged):
    logged(NOTHING, 50)
    with pytest.raises(TrainingError, match="none of 50 rewarded slates says its features"):
        await train_on_log(Settings(broker="b:1"), 1000, FEW)


async def test_too_little_to_learn_from_is_said(logged):
    lightgbm_or_skip()
    logged(NOTHING, 0)
    with pytest.raises(TrainingError, match="0 lists to learn from"):
        await train_on_log(Settings(broker="b:1"), 1000, FEW)


def test_a_file_of_sessions_is_learned_from_by_what_came_next(tmp_path):
    lightgbm_or_skip()
    file = tmp_path / "week.jsonl"
    file.write_bytes(b"\n".join(encode_event(event) for event in shop(1, sessions=900)))
    card = decode_ranker(train_on_file(Settings(), EventFile(file, "jsonl"), FEW)).card
    assert card.source == "week.jsonl"
    assert T_OF_FILE + 8 * DAY < card.first_time < card.last_time
    assert 200 <= card.lists <= card.rewarded < card.rows


def test_a_ranker_for_a_test_learns_from_what_is_before_it():
    lightgbm_or_skip()
    log = log_of(shop(1, sessions=900), T_OF_FILE + 7 * DAY)
    card = decode_ranker(train_before_test(frozen(log), lambda step: Engine(rerank=step), FEW)).card
    assert card.source == "the last period before the test"
    assert T_OF_FILE + 3 * DAY < card.first_time < card.last_time < T_OF_FILE + 7 * DAY


def test_a_file_with_too_little_in_it_is_said(tmp_path):
    lightgbm_or_skip()
    file = tmp_path / "day.jsonl"
    file.write_bytes(b"")
    with pytest.raises(TrainingError, match="0 lists to learn from"):
        train_on_file(Settings(), EventFile(file, "jsonl"), FEW)


def test_an_artefact_fits_this_program():
    lightgbm_or_skip()
    examples = made_examples()
    artefact = decode_ranker(artefact_of(train(examples, FEW), examples, "week.txt"))
    assert artefact.card.source == "week.txt"
    assert artefact.card.first_time is None


async def test_what_fails_is_tried_again_and_what_is_trained_is_published(monkeypatch):
    made, published, shown = [], [], []

    async def once(settings, window_ms, rules):
        made.append((window_ms, rules))
        if len(made) == 1:
            message = "too little yet"
            raise TrainingError(message)
        return b"ranker"

    async def publish(settings, value):
        published.append(value)
        if len(published) == 1:
            message = "it does not fit"
            raise RankerRefused(message)

    monkeypatch.setattr(retrain, "train_on_log", once)
    monkeypatch.setattr(retrain, "publish_ranker", publish)
    monkeypatch.setattr(retrain, "decode_ranker", lambda value: value)
    done = asyncio.Event()

    def show(artefact):
        shown.append(artefact)
        done.set()

    running = asyncio.create_task(retrain_for_ever(Settings(), 5000, 0.001, FEW, on_ranker=show))
    await asyncio.wait_for(done.wait(), 10)
    running.cancel()
    assert made[:3] == [(5000, FEW)] * 3
    assert published[:2] == [b"ranker"] * 2
    assert shown[0] == b"ranker"
