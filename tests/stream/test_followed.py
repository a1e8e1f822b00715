from state.posterior.config import LearningConfig
from stream.config import Settings
from stream.followed import followed_topics, learning_config


def test_the_topics_are_those_of_the_settings_deltas_first():
    assert followed_topics(Settings(topic_prefix="shop.")) == ("shop.deltas", "shop.items", "shop.rewards")


def test_feedback_is_waited_for_as_the_settings_say():
    settings = Settings(maturity_seconds=600, learning_bucket_seconds=30, learning_half_life_seconds=3600)
    assert learning_config(settings) == LearningConfig(30, 600, 3600.0)
    assert learning_config(Settings()) == LearningConfig()
