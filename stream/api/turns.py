"""Requests that read the log for seconds: a few at once, each for so long, and what goes wrong in words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from stream.api.problem import problem
from stream.api.writer import RETRY_SECONDS
from stream.knock import BrokerUnreachableError


class Turns:
    """A few places.

    Args:
        most: requests at once.
        seconds: that each may take.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._running = 0

    @asynccontextmanager
    async def turn(self, hint: str = "", *, waits: float = 0.0) -> AsyncIterator[None]:
        """Have one of the places.

        Args:
            hint: what makes it quicker, for who is too slow.
            waits: seconds that this one may take beyond, for a worker to do something.

        Raises:
            Problem: all are taken, it takes too long, or Kafka does not answer.
        """
        if self._running >= self._most:
            detail = f"{self._most} requests read the log already (FRESHSLATE_API_READS): try again"
            raise problem("overloaded", detail, Retry_After=RETRY_SECONDS)
        self._running += 1
        try:
            async with asyncio.timeout(self._seconds + waits):
                yield
        except TimeoutError:
            detail = (
                f"there is more to read than {self._seconds:g} s are enough for (FRESHSLATE_API_READ_SECONDS)"
            )
            raise problem("deadline", f"{detail}{': ' if hint else ''}{hint}") from None
        except (KafkaError, BrokerUnreachableError) as error:
            raise problem(
                "kafka_unavailable", f"Kafka does not answer: {error}", Retry_After=RETRY_SECONDS
            ) from None
        finally:
            self._running -= 1
