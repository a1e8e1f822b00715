"""What the topics are called: every name is made from the prefix, here and nowhere else."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from state.fronts.front import OWN


class TopicNames:
    """Names of the topics of settings that have a prefix and inputs."""

    if TYPE_CHECKING:  # the settings declare them, in their own order
        topic_prefix: str
        inputs: tuple[str, ...]
        input_formats: tuple[str, ...]

    @property
    def input_topics(self) -> tuple[str, ...]:
        """The topics that events are read from, in the order of `inputs`."""
        return tuple(self.topic_prefix + name for name in self.inputs)

    @property
    def formats(self) -> Mapping[str, str]:
        """Formats of the inputs that have not our own, by topic."""
        pairs = [pair.partition("=") for pair in self.input_formats]
        named = {self.topic_prefix + name.strip(): kind.strip() for name, _, kind in pairs}
        return {topic: kind for topic, kind in named.items() if kind != OWN}

    @property
    def items_topic(self) -> str:
        """The catalogue."""
        return f"{self.topic_prefix}items"

    @property
    def slates_topic(self) -> str:
        """What is published, with its decision log."""
        return f"{self.topic_prefix}slates"

    @property
    def rewards_topic(self) -> str:
        """Feedback joined to the decision it answers."""
        return f"{self.topic_prefix}rewards"

    @property
    def deltas_topic(self) -> str:
        """What each micro-batch teaches the shared models."""
        return f"{self.topic_prefix}deltas"

    @property
    def profiles_topic(self) -> str:
        """Changelog of the state per user."""
        return f"{self.topic_prefix}profiles"

    @property
    def rankers_topic(self) -> str:
        """Learned rankers; the latest serves."""
        return f"{self.topic_prefix}rankers"

    @property
    def dlq_topic(self) -> str:
        """Dead letters of every input."""
        return f"{self.topic_prefix}events.dlq"

    @property
    def own_topics(self) -> tuple[str, ...]:
        """Every topic but the inputs."""
        return (
            self.items_topic,
            self.slates_topic,
            self.rewards_topic,
            self.deltas_topic,
            self.profiles_topic,
            self.rankers_topic,
            self.dlq_topic,
        )
