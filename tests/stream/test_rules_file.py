import asyncio
import logging

import pytest

import stream.watched_file
from state.errors import InvalidRules, SetupError
from state.reranking.rules import Rules
from stream.rules_file import RulesFile, read_rules
from stream.worker_metrics import RULES_INFO, RULES_REFUSED, WorkerMetrics
from tests.stream.fakes import until

FIRST = 'exclude = ["a"]\n'
SECOND = "category_limit = 2\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(FIRST)
    return path


@pytest.fixture
def metrics():
    return WorkerMetrics()


@pytest.fixture
def followed():
    return []


@pytest.fixture
async def watching(path, metrics, followed, monkeypatch):
    monkeypatch.setattr(stream.watched_file, "LOOK_SECONDS", 0.001)
    file = RulesFile(path, followed.append, metrics)
    task = asyncio.create_task(file.watch())
    yield file
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def in_force(metrics):
    return [labels for (labels, value) in metrics._values[RULES_INFO].items() if value == 1]


def replace(path, text):
    """As an editor or Kubernetes does it: at once."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def test_the_rules_are_in_force_from_the_start(path, metrics, followed):
    RulesFile(path, followed.append, metrics)
    assert followed == [Rules(exclude=frozenset({"a"}))]
    assert in_force(metrics) == [(followed[0].version,)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("exclude = [,]", "line 1"),
        ("exclude = 7\n", "exclude: 7 is not a list of text"),
        ("\n\nboosts = {\n", "line 3"),
    ],
)
def test_a_wrong_file_keeps_the_worker_from_starting(path, metrics, followed, text, told):
    path.write_text(text)
    with pytest.raises(SetupError, match=told) as error:
        RulesFile(path, followed.append, metrics)
    assert str(path) in str(error.value)
    assert followed == []


def test_a_missing_file_keeps_the_worker_from_starting(tmp_path, metrics, followed):
    with pytest.raises(SetupError, match="No such file"):
        RulesFile(tmp_path / "nothing.toml", followed.append, metrics)


def test_what_is_no_text_is_refused():
    with pytest.raises(InvalidRules, match="utf-8"):
        read_rules(b"\xff")


async def test_a_change_is_followed(watching, path, metrics, followed):
    replace(path, SECOND)
    await until(lambda: len(followed) == 2)
    assert followed[1] == Rules(category_limit=2)
    assert in_force(metrics) == [(followed[1].version,)]
    assert metrics.value(RULES_REFUSED) == 0


async def test_a_wrong_change_is_refused_once_and_the_rules_before_stay(
    watching, path, metrics, followed, caplog
):
    replace(path, "diversity = 7\n")
    await until(lambda: metrics.value(RULES_REFUSED) == 1)
    assert in_force(metrics) == [(followed[0].version,)]
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "diversity: 7 is not a number in [0, 0.9]" in line.getMessage()
    assert f"version {followed[0].version} stays in force" in line.getMessage()
    replace(path, SECOND)
    await until(lambda: len(followed) == 2)
    assert metrics.value(RULES_REFUSED) == 1


async def test_a_file_that_goes_is_refused_and_one_that_comes_back_the_same_is_followed(
    watching, path, metrics, followed
):
    path.unlink()
    await until(lambda: metrics.value(RULES_REFUSED) == 1)
    replace(path, FIRST)
    await until(lambda: len(followed) == 2)
    assert followed[0] == followed[1]


async def test_the_same_again_changes_nothing(watching, path, followed):
    await watching.reload(FIRST.encode())
    assert len(followed) == 1
