"""What the shared models are folded from, and how feedback is waited for, by the settings."""

from typing import NamedTuple

from state.posterior.config import LearningConfig
from stream.config import Settings


class FollowedTopics(NamedTuple):
    """Names of the topics that models are folded from."""

    deltas: str
    items: str
    rewards: str


def followed_topics(settings: Settings) -> FollowedTopics:
    """Those of the settings."""
    return FollowedTopics(settings.deltas_topic, settings.items_topic, settings.rewards_topic)


def learning_config(settings: Settings) -> LearningConfig:
    """How feedback is waited for and forgotten, by the settings."""
    return LearningConfig(
        bucket_seconds=settings.learning_bucket_seconds,
        maturity_seconds=settings.maturity_seconds,
        half_life_seconds=float(settings.learning_half_life_seconds),
    )
