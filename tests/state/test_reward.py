import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import EventItem
from state.reward import (
    DAY_MS,
    DEFAULT_HORIZONS_TEXT,
    DEFAULT_REWARDS,
    HOUR_MS,
    MINUTE_MS,
    REWARDED_TYPES,
    RewardRule,
    RewardRules,
    Worth,
    parse_horizons,
    parse_rewards,
    reward_rules,
    value_of,
)
from tests.state.shown import event

RULES = RewardRules()


class TestRules:
    def test_the_longest_horizon_is_that_of_a_purchase(self):
        assert RULES.longest_ms == 7 * DAY_MS
        assert RewardRules({}).longest_ms == 0

    @pytest.mark.parametrize("name", ["clik", "impression", "search", "refund"])
    def test_a_type_that_earns_nothing_is_refused(self, name):
        with pytest.raises(ValueError, match=f"'{name}' earns no reward; types that may: view, click"):
            RewardRules({name: RewardRule(1.0, 1)})

    def test_a_horizon_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="horizon of 'click' must be above 0 ms, got 0"):
            RewardRules({"click": RewardRule(1.0, 0)})

    @pytest.mark.parametrize(
        ("fields", "fault"),
        [
            ({"skew_ms": -1}, "skew_ms must be at least 0, got -1"),
            ({"refund_ms": 0}, "refund_ms must be above 0, got 0"),
            ({"clip": 0.0}, "clip must be above 0, got 0.0"),
            ({"clip": math.inf}, "clip must be above 0, got inf"),
            ({"clip": math.nan}, "clip must be above 0, got nan"),
        ],
    )
    def test_numbers_that_make_no_sense_are_refused(self, fields, fault):
        with pytest.raises(ValueError, match=fault):
            RewardRules(**fields)

    def test_every_part_of_the_definition_is_in_the_version(self):
        others = [
            reward_rules("click=1"),
            reward_rules("click=2"),
            reward_rules("click=1*value"),
            reward_rules("click=1", "click=1h"),
            reward_rules("click=1", "refund=1h"),
            reward_rules("click=1", clip=5.0),
            reward_rules("click=1", currency="EUR"),
            RewardRules({"click": RewardRule(1.0, 30 * MINUTE_MS)}, skew_ms=1),
        ]
        versions = {each.version for each in others}
        assert len(versions) == len(others)
        assert all(len(version) == 8 and int(version, 16) >= 0 for version in versions)

    def test_equal_definitions_have_equal_versions_in_any_order(self):
        assert reward_rules("click=1 view=2").version == reward_rules("view=2, click=1.0").version


class TestWorth:
    def worth(self, rules, **fields):
        return rules.worth(event("purchase", "a", **fields), "a", rules.by_type["purchase"])

    def test_a_flat_reward_needs_no_value_and_carries_it(self):
        assert self.worth(RULES) == Worth(5.0, None)
        assert self.worth(RULES, value=3.0) == Worth(5.0, 3.0)

    def test_a_reward_by_value_is_a_share_of_it_on_top_of_what_is_flat(self):
        assert self.worth(reward_rules("purchase=0.05*value"), value=40.0) == Worth(2.0, 40.0)
        assert self.worth(reward_rules("purchase=1+0.05*value"), value=40.0) == Worth(3.0, 40.0)

    @pytest.mark.parametrize(("rewards", "reward"), [("purchase=1*value", 7.0), ("purchase=-1*value", -7.0)])
    def test_it_is_clipped_on_both_sides(self, rewards, reward):
        rules = reward_rules(rewards, clip=7.0)
        assert self.worth(rules, value=1e12).reward == reward

    def test_a_flat_reward_is_clipped_too(self):
        assert self.worth(reward_rules("purchase=50", clip=7.0)).reward == 7.0

    def test_it_counts_in_its_currency_alone(self):
        rules = reward_rules("purchase=0.05*value", currency="EUR")
        assert self.worth(rules, value=40.0, currency="EUR").reward == 2.0
        assert self.worth(rules, value=40.0, currency="USD").refused == "currency_mismatch"

    def test_a_value_without_a_currency_is_in_that_of_the_shop(self):
        assert self.worth(reward_rules("purchase=0.05*value", currency="EUR"), value=40.0).reward == 2.0

    def test_without_a_currency_in_the_rules_all_are_as_told(self):
        rules = reward_rules("purchase=0.05*value")
        assert self.worth(rules, value=40.0, currency="USD") == self.worth(rules, value=40.0, currency="EUR")

    def test_a_flat_reward_asks_for_no_currency(self):
        rules = reward_rules("purchase=5", currency="EUR")
        assert self.worth(rules, value=40.0, currency="USD").reward == 5.0

    def test_it_needs_a_value(self):
        assert self.worth(reward_rules("purchase=0.05*value")).refused == "no_value"

    @pytest.mark.parametrize("value", [-0.01, -1e12, math.nan])
    @pytest.mark.parametrize("rewards", ["purchase=5", "purchase=0.05*value"])
    def test_a_value_below_0_or_that_is_no_number_earns_nothing(self, rewards, value):
        assert self.worth(reward_rules(rewards), value=value).refused == "negative_value"

    @given(st.floats(0, 1e30), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
    def test_a_reward_is_a_number_within_the_clip(self, value, flat, per_value):
        rules = RewardRules({"purchase": RewardRule(flat, 1, per_value)}, clip=3.0)
        assert -3.0 <= self.worth(rules, value=value).reward <= 3.0


class TestValue:
    def test_a_price_goes_before_the_events_value(self):
        assert value_of(event("purchase", EventItem("a", 3.0, 2.5), value=99.0), "a") == 7.5

    def test_the_events_value_is_that_of_its_single_item(self):
        assert value_of(event("purchase", "a", value=4.0), "a") == 4.0
        assert value_of(event("purchase", "a", "b", value=4.0), "a") is None

    def test_lines_of_one_item_add_up_unless_one_has_no_price(self):
        lines = EventItem("a", 1.0, 5.0), EventItem("a", 2.0, 4.0)
        assert value_of(event("purchase", *lines), "a") == 13.0
        assert value_of(event("purchase", *lines, "a"), "a") is None


class TestReadableForm:
    def test_the_default_texts_are_the_default_rules(self):
        assert reward_rules(DEFAULT_REWARDS, DEFAULT_HORIZONS_TEXT) == RULES
        assert reward_rules(DEFAULT_REWARDS) == RULES

    def test_numbers_values_and_both_are_read(self):
        found = parse_rewards("view=1, click=-0.5\npurchase=0.05*value like=1+2*value")
        assert found == {"view": (1, 0), "click": (-0.5, 0), "purchase": (0, 0.05), "like": (1, 2)}

    def test_types_that_are_not_named_earn_nothing(self):
        assert set(reward_rules("click=1").by_type) == {"click"}
        assert reward_rules("").by_type == {}

    def test_every_rewarded_type_has_a_horizon(self):
        rules = reward_rules(" ".join(f"{name}=1" for name in REWARDED_TYPES))
        assert set(rules.by_type) == set(REWARDED_TYPES)

    def test_horizons_are_read_in_their_units(self):
        found = parse_horizons("view=90s click=30m,like=2h refund=7d")
        assert found == {"view": 90_000, "click": 30 * MINUTE_MS, "like": 2 * HOUR_MS, "refund": 7 * DAY_MS}
        assert reward_rules("view=1", "view=90s refund=1d").by_type["view"].horizon_ms == 90_000

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("view=1 click", r"part 2, 'click': must be TYPE=NUMBER, TYPE=NUMBER\*value or"),
            ("view=", "part 1, 'view=': must be TYPE=NUMBER"),
            ("view=one", "part 1, 'view=one': must be TYPE=NUMBER"),
            ("view=nan", "part 1, 'view=nan': must be TYPE=NUMBER"),
            ("view=1e3", "part 1, 'view=1e3': must be TYPE=NUMBER"),
            ("view=1+2", r"part 1, 'view=1\+2': must be TYPE=NUMBER"),
            ("view=+2*value", "must be TYPE=NUMBER"),
            ("view=2*price", "must be TYPE=NUMBER"),
            ("view=1 veiw=2", "part 2, 'veiw=2': 'veiw' is not one of view, click, add_to_cart"),
            ("view=1 view=2", "part 2, 'view=2': 'view' is there twice"),
            ("refund=-5", "'refund' is not one of .*; a refund takes back what its purchase earned"),
            ("view=1000001", r"part 1, 'view=1000001': numbers must be within ±1e\+06"),
        ],
    )
    def test_a_wrong_reward_is_told_with_its_place_and_what_is_allowed(self, text, fault):
        with pytest.raises(ValueError, match=fault):
            parse_rewards(text)

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("view=30", "part 1, 'view=30': must be TYPE=NUMBER with one of the units s, m, h, d"),
            ("view=30m click=1.5h", "part 2, 'click=1.5h': must be TYPE=NUMBER with one of the units"),
            ("view=0s", "part 1, 'view=0s': must be above 0 and at most 365d"),
            ("view=366d", "must be above 0 and at most 365d"),
            ("search=1h", "'search' is not one of view, click"),
        ],
    )
    def test_a_wrong_horizon_is_told_with_its_place_and_what_is_allowed(self, text, fault):
        with pytest.raises(ValueError, match=fault):
            parse_horizons(text)

    @given(st.text(max_size=20))
    def test_any_text_is_read_or_refused(self, text):
        for parse in (parse_rewards, parse_horizons):
            try:
                parse(text)
            except ValueError as error:
                assert "part" in str(error)  # noqa: PT017  # either way is right
