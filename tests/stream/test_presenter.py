"""From the scoreboard to the screen."""

import asyncio
import io

import pytest
from rich.console import Console

from stream.beside import beside
from stream.presenter import Presenter
from stream.scoreboard import Scoreboard
from stream.screens.demo import DemoScreen
from stream.tally import Tally
from stream.view import WorkerRow


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def presenter(printed: io.StringIO) -> Presenter:
    board = Scoreboard(Tally({"click"}))
    return Presenter(DemoScreen(Console(file=printed, width=120)), board, rate=50.0, seconds=9.0)


def test_a_view_holds_what_is_known(presenter: Presenter) -> None:
    row = WorkerRow(name="worker-1", state="serving")
    presenter.workers = lambda: (row,)
    presenter.kills = 2
    view = presenter.view(3.0)
    assert (view.elapsed, view.seconds, view.rate) == (3.0, 9.0, 50.0)
    assert view.workers == (row,)
    assert view.counts.kills == 2


def test_without_anybody_who_knows_there_are_no_workers(presenter: Presenter) -> None:
    assert presenter.view(0.0).workers == ()


async def test_it_shows_for_as_long_as_the_block_lasts(presenter: Presenter, printed: io.StringIO) -> None:
    async with beside(presenter.run()):
        await asyncio.sleep(0.05)
    assert printed.getvalue().count("events/s") == 1
