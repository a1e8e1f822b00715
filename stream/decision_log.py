"""The decision log as examples for a ranker: rewarded slates of a window, from the topics alone."""

from typing import NamedTuple

from state.ranking.examples import Examples, logged_examples
from state.slate import Reward, Slate
from stream.codecs import decode_reward, decode_slate
from stream.config import Settings
from stream.connection import connection
from stream.reading import read_topic


class Logged(NamedTuple):
    """What the log holds to learn from."""

    examples: Examples
    first_time: int | None
    """Of the first slate that is learned from, epoch milliseconds; None where there is none."""
    last_time: int | None
    slates: int
    """Slates that were rewarded, with or without features."""


async def read_decision_log(settings: Settings, since: int) -> Logged:
    """Read the rewards and the slates that they answer.

    A slate stays in the log for `slates_log_seconds`; after that only a user's latest does. Only rewarded
    slates are held in memory, about 10 KB each.

    Args:
        settings: Of the workers.
        since: Beginning of the window, epoch milliseconds.

    Raises:
        aiokafka.errors.KafkaError: The broker does not answer, or has no such topics.
        UnreadableState: A slate or reward of another version.
    """
    rewards: list[Reward] = []
    async for record in read_topic(connection(settings), settings.rewards_topic, since=since):
        if record.value is not None:
            rewards.append(decode_reward(record.value))
    answered = {reward.slate_id for reward in rewards}
    slates: list[Slate] = []
    async for record in read_topic(connection(settings), settings.slates_topic, since=since):
        if record.value is not None:
            slate = decode_slate(record.value)
            if slate.slate_id in answered:
                slates.append(slate)
    slates.sort(key=_time_of)
    examples = logged_examples(slates, rewards)
    return Logged(
        examples,
        slates[0].time if slates else None,
        slates[-1].time if slates else None,
        len({slate.slate_id for slate in slates}),
    )


def _time_of(slate: Slate) -> int:
    return slate.time
