import pytest

from state.event import EVENT_TYPES, POSITIVE_TYPES
from state.retrieval.config import SOURCE_WEIGHTS, ModelConfig, parse_weights


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_sessions": 1000}, "max_sessions must be a power of two, got 1000"),
        ({"max_sessions": 0}, "max_sessions must be a power of two"),
        ({"session_items": 200}, r"session_items must be in \[1, 127\]"),
        ({"query_items": 0}, r"query_items must be in \[1, 127\]"),
        ({"neighbours": 0}, "neighbours must be at least 1"),
        ({"type_weights": (1.0,)}, "type_weights needs one number for each of impression"),
        ({"type_weights": (-1.0,) * len(EVENT_TYPES)}, "type_weights must not be negative"),
        ({"rule_decay_days": 0.0}, "rule_decay_days must be above 0"),
        ({"rule_weight": -0.1}, "rule_weight must not be negative"),
        ({"two_hop_through": 0}, "two_hop_through must be at least 1"),
        ({"content_fade_sessions": 0.0}, "content_fade_sessions must be above 0"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**changes)


def test_every_positive_type_makes_an_item_more_popular() -> None:
    weights = dict(zip(EVENT_TYPES, ModelConfig().type_weights, strict=True))
    assert {name for name, weight in weights.items() if weight > 0} == POSITIVE_TYPES


def test_folded_values_differ_only_where_learned_numbers_do() -> None:
    assert ModelConfig(neighbours=5).folded() == ModelConfig().folded()
    assert ModelConfig(rule_steps=5).folded() != ModelConfig().folded()


def test_every_field_that_says_folded_is_compared() -> None:
    fields = ModelConfig().folded()
    for name in ("max_sessions", "session_items", "postings", "popularity_pool", "rule_targets"):
        assert f"{name}=" in fields


def test_every_source_has_a_weight_and_every_weight_of_a_source_a_name() -> None:
    config = ModelConfig(category_weight=0.25)
    assert config.source_weights()[list(SOURCE_WEIGHTS).index("category")] == 0.25
    weighed = {name for name in config.__struct_fields__ if name.endswith("_weight")}
    others = {"before_weight", "idf_weight", "rule_backward_weight"}
    assert {name for name in weighed - others if not name.startswith("repeat")} == set(
        SOURCE_WEIGHTS.values()
    )


def test_weights_are_read_by_the_names_of_sources() -> None:
    assert parse_weights(()) == {}
    assert parse_weights(("category=0.3", "session_knn = 2")) == {
        "category_weight": 0.3,
        "session_weight": 2.0,
    }


@pytest.mark.parametrize("pair", ["", "category", "category=", "category=-1", "category=nan", "other=1"])
def test_what_is_no_weight_of_a_source_is_refused(pair: str) -> None:
    with pytest.raises(ValueError, match=repr(pair)):
        parse_weights([pair])
