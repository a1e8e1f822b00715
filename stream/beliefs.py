"""What a worker would have believed at a time: exposures and rewards before it, folded from the topics."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct

from state.posterior.beliefs import ALL, Beliefs
from state.posterior.config import LearningConfig
from state.posterior.posterior import Posterior
from state.posterior.sums import SPAN_MS, SPANS
from state.slate import Delta, Reward
from stream.codecs import decode_delta, decode_reward
from stream.config import Settings
from stream.connection import connection
from stream.followed import learning_config
from stream.learners import ExampleLearner, Learners
from stream.reading import read_topic
from stream.work import Record, times_of

OnProgress = Callable[[str, int, int | None], None]
"""Called with what is done, how much of it, and of how much in all, where that is known."""
BATCH: Final = 1_000
"""Records folded at once."""


class Believed(Struct, frozen=True):
    """What was believed at a time."""

    beliefs: Beliefs
    exposures: float
    """Matured by then, discounted by age; 0: nothing was known yet."""
    rewards: int
    """Records folded."""


class PastFold:
    """Folds what came before a time: first all exposures, in any order, then all rewards.

    Equal to what a worker believes that folded the same records, up to rounding and to records that came
    after their bucket had matured.

    Args:
        config: Of the posterior.
        learners: Are taught the examples that have matured; each of them waits in memory until then.
    """

    def __init__(self, config: LearningConfig, learners: Mapping[str, ExampleLearner] | None = None) -> None:
        self._posterior = Posterior(config)
        self._learners = Learners(learners or {}, config)
        self._first: int | None = None
        self._rewards = 0

    def learn(self, deltas: Sequence[Delta], logged: Sequence[int]) -> None:
        """Fold exposures; `logged` are the deltas' own times, epoch milliseconds."""
        times = [time for delta in deltas if delta.exposures is not UNSET for time in delta.exposures.times]
        if times:
            self._first = min(times) if self._first is None else min(self._first, *times)
        self._posterior.learn(deltas, logged)
        self._learners.learn(deltas)

    def reward(self, rewards: Sequence[Reward], logged: Sequence[int]) -> None:
        """Fold rewards; those of slates before the first exposure would be success without failure."""
        pairs = [
            (reward, time) for reward, time in zip(rewards, logged, strict=True) if self._is_exposed(reward)
        ]
        its = [reward for reward, _ in pairs]
        self._posterior.reward(its, [time for _, time in pairs])
        self._learners.reward(its)
        self._rewards += len(its)

    def believed(self) -> Believed:
        """What is believed after all of it; examples are taught."""
        self._learners.mature(self._posterior)
        beliefs = self._posterior.beliefs()
        return Believed(beliefs, beliefs.by_scenario[ALL].count, self._rewards)

    def _is_exposed(self, reward: Reward) -> bool:
        slate_time = reward.time - round(1000 * reward.delay_seconds)
        return self._first is not None and slate_time >= self._first


async def believed_before(
    settings: Settings,
    time: int,
    *,
    learners: Mapping[str, ExampleLearner] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Believed:
    """Fold `deltas` and `rewards` of the 32 days before a time, epoch milliseconds.

    Args:
        settings: Of the workers.
        time: Records that were written at it or later do not count.
        learners: As in `PastFold`.
        on_progress: Is told how far it is.

    Raises:
        aiokafka.errors.KafkaError: The broker does not answer, or has no such topics.
        UnreadableState: A record of another version.
    """
    fold = PastFold(learning_config(settings), learners)
    async for records in _batches(settings, settings.deltas_topic, time, on_progress):
        fold.learn([decode_delta(each.value or b"") for each in records], times_of(records))
    async for records in _batches(settings, settings.rewards_topic, time, on_progress):
        fold.reward([decode_reward(each.value or b"") for each in records], times_of(records))
    return fold.believed()


async def _batches(
    settings: Settings, topic: str, time: int, on_progress: OnProgress
) -> AsyncIterator[list[Record]]:
    batch: list[Record] = []
    done = 0
    async for record in read_topic(connection(settings), topic, since=max(0, time - SPANS * SPAN_MS)):
        if record.timestamp < time:
            batch.append(record)
        if len(batch) == BATCH:
            done += len(batch)
            on_progress(f"learning from {topic}", done, None)
            yield batch
            batch = []
    if batch:
        yield batch
