"""What every watched file does is tested with that of the rules (`test_rules_file.py`); here is the rest."""

import asyncio
import threading

import pytest

import stream.watched_file
from state.errors import InvalidRules, SetupError
from state.reranking.rules import Rules
from stream.watched_file import Kind, WatchedFile, decode_toml
from stream.worker_metrics import RULES_INFO, RULES_REFUSED, WorkerMetrics
from tests.stream.fakes import until

KIND = Kind("numbers", RULES_REFUSED, RULES_INFO)


class Slow(WatchedFile):
    """Remembers in which thread a value was made ready."""

    def ready(self, value):
        self.threads = [*getattr(self, "threads", []), threading.current_thread()]


def read(content):
    if content == b"wrong":
        raise InvalidRules(["it is wrong"])
    return Rules(diversity=len(content) / 100)


async def test_a_changed_value_is_made_ready_in_a_thread_before_it_is_in_force(tmp_path, monkeypatch):
    monkeypatch.setattr(stream.watched_file, "LOOK_SECONDS", 0.001)
    path, followed = tmp_path / "file", []
    path.write_bytes(b"a")
    file = Slow(path, KIND, read=read, follow=followed.append, metrics=WorkerMetrics())
    assert not hasattr(file, "threads")  # the start makes everything ready at once
    task = asyncio.create_task(file.watch())
    path.write_bytes(b"ab")
    await until(lambda: len(followed) == 2)
    assert file.threads
    assert all(thread is not threading.main_thread() for thread in file.threads)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_error_at_the_start_names_what_it_is_and_the_file(tmp_path):
    (tmp_path / "file").write_bytes(b"wrong")
    with pytest.raises(SetupError, match=r"the numbers in .*file cannot be followed: it is wrong"):
        WatchedFile(tmp_path / "file", KIND, read=read, follow=list().append, metrics=WorkerMetrics())


@pytest.mark.parametrize(
    ("content", "told"),
    [("gone", "gone"), (b"a = [,]", "line 1"), (b"\xff", "utf-8"), (b"a = 1\nb = ]", "line 2")],
)
def test_what_is_no_toml_is_refused_with_the_reason(content, told):
    with pytest.raises(InvalidRules, match=told):
        decode_toml(content, lambda reason: InvalidRules([reason]))
