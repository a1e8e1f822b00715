"""A few places for what reads the log."""

import asyncio

import pytest
from aiokafka.errors import KafkaError

from stream.api.problem import Problem
from stream.api.turns import Turns


async def test_beyond_the_places_nobody_waits_and_a_place_is_given_back() -> None:
    turns = Turns(1, 5)
    async with turns.turn():
        with pytest.raises(Problem, match="FRESHSLATE_API_READS"):
            async with turns.turn():
                pass
    async with turns.turn():
        pass


async def test_who_takes_too_long_is_told_what_helps() -> None:
    turns = Turns(1, 0.01)
    with pytest.raises(Problem, match=r"ask for fewer hours") as caught:
        async with turns.turn("ask for fewer hours"):
            await asyncio.sleep(5)
    assert caught.value.status == 504


async def test_a_broker_that_does_not_answer_is_503() -> None:
    turns = Turns(1, 5)
    with pytest.raises(Problem) as caught:
        async with turns.turn():
            raise KafkaError
    assert (caught.value.status, caught.value.reason) == (503, "kafka_unavailable")
    async with turns.turn():
        pass


async def test_who_waits_for_a_worker_has_the_time_for_it() -> None:
    turns = Turns(1, 0.01)
    async with turns.turn(waits=5):
        await asyncio.sleep(0.05)
