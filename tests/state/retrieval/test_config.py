import pytest

from state.event import EVENT_TYPES, POSITIVE_TYPES
from state.retrieval.config import ModelConfig


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
