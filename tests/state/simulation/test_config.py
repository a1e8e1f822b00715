import msgspec
import pytest

from state.simulation.config import COUNTS, NOT_NEGATIVE, POSITIVE, SHARES, ShopConfig, demo_config


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_share_outside_0_and_1_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\]"):
        ShopConfig(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_of_0_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        ShopConfig(**{name: 0})


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_must_be_above_0_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        ShopConfig(**{name: value})


@pytest.mark.parametrize("name", NOT_NEGATIVE)
def test_what_must_not_be_negative_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
        ShopConfig(**{name: -1})


def test_fewer_items_than_categories_are_refused():
    with pytest.raises(ValueError, match=r"items must be at least as many as categories \(120\), got 60"):
        ShopConfig(items=60)


def test_a_rhythm_that_stops_the_shop_is_refused():
    with pytest.raises(ValueError, match="rhythm_amplitude must be below 1"):
        ShopConfig(rhythm_amplitude=1.0)


def test_every_parameter_but_the_logits_is_checked():
    checked = {*SHARES, *COUNTS, *POSITIVE, *NOT_NEGATIVE}
    unbounded = {"bias", "cart_bias", "cart_fit_weight", "cart_price_weight", "rhythm_peak"}
    assert checked | unbounded == set(ShopConfig.__struct_fields__)


def test_the_demo_has_more_shoppers_where_the_rate_needs_them():
    assert demo_config(10.0).shoppers == 2_000
    assert demo_config(1_000.0).shoppers == 8_000


def test_a_configuration_survives_json():
    config = demo_config(200.0)
    assert msgspec.json.decode(msgspec.json.encode(config), type=ShopConfig) == config
