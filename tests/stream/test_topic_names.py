"""Every topic is called by its prefix and name."""

from stream.config import load_settings


def test_every_topic_carries_the_prefix() -> None:
    settings = load_settings(topic_prefix="shop.", inputs="clicks,purchases")
    assert settings.input_topics == ("shop.clicks", "shop.purchases")
    assert settings.own_topics == (
        "shop.items",
        "shop.slates",
        "shop.rewards",
        "shop.deltas",
        "shop.profiles",
        "shop.rankers",
        "shop.events.dlq",
    )


def test_formats_are_told_by_topic_where_they_are_not_our_own() -> None:
    settings = load_settings(
        topic_prefix="shop.", inputs="events,web,orders", input_formats="web = segment, orders=freshslate"
    )
    assert settings.formats == {"shop.web": "segment"}
    assert load_settings().formats == {}
