"""Ctrl-C once."""

import asyncio
import signal

import pytest

from stream.interrupt import Interruptible


def test_the_first_signal_interrupts_and_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interruptible():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_leaves_with_its_exit_code() -> None:
    with pytest.raises(SystemExit) as stop, Interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143


def test_further_signals_do_not_interrupt_the_cleaning_up() -> None:
    cleaned = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt), Interruptible():
        work()
    assert cleaned == [True]


def test_a_coroutine_is_cancelled_and_cleans_up_undisturbed() -> None:
    cleaned = []

    async def main() -> None:
        try:
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.01)
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt), Interruptible() as interruptible:
        interruptible.run(main())
    assert cleaned == [True]


def test_a_coroutine_that_ends_gives_its_answer() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 7

    with Interruptible() as interruptible:
        assert interruptible.run(main()) == 7
    assert interruptible.signal is None


def test_an_error_of_the_coroutine_comes_out() -> None:
    async def main() -> None:
        message = "broken"
        raise ValueError(message)

    with pytest.raises(ValueError, match="broken"), Interruptible() as interruptible:
        interruptible.run(main())


def test_a_caught_interrupt_is_a_good_end() -> None:
    with Interruptible() as interruptible:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert interruptible.signal == signal.SIGTERM
