"""Recommendations: what slates are worth, how much they explore, and whether the models still know it."""

from typing import Final

from deploy.grafana.panels import POLICY, SCENARIO, Board, Chart, Query, Row, quantile, quantiles, rate

_MONITOR: Final = "freshslate_monitor_"
_IT: Final = '{policy=~"$policy", scenario=~"$scenario"}'
_BY: Final = "{{policy}}, {{scenario}}"
_MINE: Final = 'policy=~"$policy"'


def _mean(metric: str) -> str:
    """A mean of the monitor; the larger one where several monitors run."""
    return f"max by (policy, scenario) ({_MONITOR}{metric}{_IT})"


def _share(part: str, whole: str) -> str:
    """Of two counters of the monitor, by policy and scenario."""
    top, bottom = (
        f"max by (policy, scenario) (rate({_MONITOR}{name}_total{_IT}[$__rate_interval]))"
        for name in (part, whole)
    )
    return f"{top} / {bottom}"


_WORTH: Final = (
    Chart(
        "Click-through rate",
        "Share of the latest 5,000 matured slates with a click or view.",
        "percentunit",
        (Query(_mean("ctr_ratio"), _BY),),
    ),
    Chart(
        "Conversion",
        "Share of the latest 5,000 matured slates with a purchase of an item of theirs.",
        "percentunit",
        (Query(_mean("conversion_ratio"), _BY),),
        alert="FreshslateNoPurchases",
    ),
    Chart(
        "Revenue per mille",
        "Value of purchases less refunds per thousand matured slates, over the last hour, by currency.",
        "short",
        (
            Query(
                "1000 * max by (policy, currency) "
                f"(sum without (scenario) (delta({_MONITOR}revenue{_IT}[1h])))"
                " / on (policy) group_left () max by (policy) "
                f"(sum without (scenario) (increase({_MONITOR}matured_slates_total{_IT}[1h])))",
                "{{policy}} {{currency}}",
            ),
        ),
    ),
)

_REWARD: Final = (
    Chart(
        "Reward per slate",
        "Mean reward of the latest 5,000 matured slates.",
        "short",
        (Query(_mean("reward_per_slate"), _BY),),
        alert="FreshslateRewardDrop",
    ),
    Chart(
        "Reward, of the day before",
        "Reward per slate over its mean of the day before. A ticket below 70 %.",
        "percentunit",
        (Query(f"max by (policy, scenario) (freshslate:reward_per_slate:ratio_1d{_IT})", _BY),),
        alert="FreshslateRewardDrop",
    ),
    Chart(
        "Drifts told",
        "Changes that ADWIN found within an hour, in the reward of slates or in reward less expectation.",
        "short",
        (
            Query(
                "max by (policy, scenario, signal, direction) "
                f"(increase({_MONITOR}drift_alarms_total{_IT}[1h]))",
                _BY + ", {{signal}} {{direction}}",
            ),
        ),
        alert="FreshslateRewardDrift",
    ),
    Chart(
        "Feedback",
        "Rewards joined to their slate within the monitor's wait, by type.",
        "ops",
        (
            Query(
                "sum by (type) (max by (policy, scenario, type) "
                f"(rate({_MONITOR}rewards_total{_IT}[$__rate_interval])))",
                "{{type}}",
            ),
        ),
        "stacked",
    ),
)

_EXPLORE: Final = (
    Chart(
        "Exploration",
        "Share of positions whose item is not the best-scored of those left.",
        "percentunit",
        (Query(_mean("exploration_ratio"), _BY),),
        alert="FreshslatePolicyCollapse",
    ),
    Chart(
        "Propensity of published items",
        "Median of the probability with which items were drawn at their position.",
        "percentunit",
        (Query(quantile(0.5, "freshslate_propensity_ratio", "policy", _MINE), "p50 {{policy}}"),),
    ),
    Chart(
        "Small propensities",
        "First percentile of propensities, and the share of items below 0.01: an item there weighs above 100 "
        "in an off-policy estimate.",
        "percentunit",
        (
            Query(_mean("low_propensity_ratio"), "p1 " + _BY),
            Query(_share("small_propensities", "items"), "below 0.01 " + _BY),
        ),
    ),
    Chart(
        "Rewards by policy",
        "Feedback that workers joined to a slate, a second.",
        "ops",
        (Query(rate("freshslate_rewards_total", "policy, type", _MINE), "{{policy}}, {{type}}"),),
    ),
)

_COVER: Final = (
    Chart(
        "Coverage of the catalogue",
        "Different items published this day, in UTC, over the items that the models know.",
        "percentunit",
        (Query(f"{_mean('different_items')} / scalar(max(freshslate_model_items))", _BY),),
    ),
    Chart(
        "Different items",
        "Different items published this day, in UTC.",
        "short",
        (Query(_mean("different_items"), _BY),),
    ),
    Chart(
        "Empty slates",
        "Share of slates published without any item.",
        "percentunit",
        (
            Query(
                rate("freshslate_slates_empty_total", "policy", _MINE)
                + " / "
                + rate("freshslate_slates_total", "policy", _MINE),
                "{{policy}}",
            ),
        ),
    ),
    Chart(
        "Slates that nobody saw",
        "Share of matured slates that were neither seen nor answered.",
        "percentunit",
        (Query(_share("unseen_slates", "matured_slates"), _BY),),
    ),
)

_KNOW: Final = (
    Chart(
        "Calibration",
        "Expected calibration error of an item's reward, over what an item brings. A ticket above 50 %.",
        "percentunit",
        (Query(f"max by (policy, scenario) (freshslate:calibration_error:ratio{_IT})", _BY),),
        alert="FreshslateCalibration",
        limits=(0.5,),
    ),
    Chart(
        "Calibration error",
        "Expected calibration error of an item, in rewards; only of policies that expect something.",
        "short",
        (Query(_mean("calibration_error"), _BY),),
        alert="FreshslateCalibration",
    ),
    Chart(
        "Delay of feedback",
        "From a slate to the feedback on it.",
        "s",
        quantiles("freshslate_reward_delay_seconds", shares=(0.5, 0.95)),
    ),
)

_LEARN: Final = (
    Chart(
        "Feedback that earned nothing",
        "Items of feedback that belong to no open slate, by why.",
        "ops",
        (Query(rate("freshslate_feedback_unattributed_total", "reason"), "{{reason}}"),),
    ),
    Chart(
        "Seen items",
        "Items of slates that were seen, by what says so.",
        "ops",
        (Query(rate("freshslate_exposures_total", "how"), "{{how}}"),),
    ),
    Chart(
        "Left out of learning",
        "What the shared models were not taught, by why.",
        "ops",
        (Query(rate("freshslate_learning_left_out_total", "reason"), "{{reason}}"),),
    ),
    Chart(
        "Learned late",
        "Exposures and rewards that came after their like had matured, and were learned from.",
        "ops",
        (Query(rate("freshslate_learned_late_total", "what"), "{{what}}"),),
    ),
    Chart(
        "Age of what is learned",
        "How old slates are when they are learned from, in the worker that is furthest behind.",
        "s",
        (Query("time() - min(freshslate_learned_until_timestamp_seconds)", "age"),),
    ),
)

_WATCH: Final = (
    Chart(
        "Slates waiting and late feedback",
        "Slates that wait for feedback in the monitor, and feedback that came after the wait, a minute.",
        "short",
        (
            Query(f"max({_MONITOR}waiting_slates)", "waiting"),
            Query(f"60 * max(rate({_MONITOR}late_rewards_total[$__rate_interval]))", "late a minute"),
        ),
    ),
    Chart(
        "Behind",
        "Offsets that the monitor has not read yet.",
        "short",
        (Query(f"max by (topic) ({_MONITOR}lag_records)", "{{topic}}"),),
    ),
    Chart(
        "Event time behind the clock",
        "How far the monitor's event time is behind; it stands while nobody shops.",
        "s",
        (Query(f"time() - max({_MONITOR}watermark_timestamp_seconds)", "behind"),),
    ),
    Chart(
        "Users followed",
        "Share of users that the monitor follows; halved when too many slates wait.",
        "percentunit",
        (Query(f"min({_MONITOR}followed_ratio)", "followed"),),
    ),
)

RECOMMENDATIONS: Final = Board(
    "recommendations",
    "Freshslate: recommendations",
    "What slates are worth, by policy and scenario, as freshslate monitor finds it in the log.",
    (SCENARIO, POLICY),
    (
        Row("Worth", _WORTH),
        Row("Reward", _REWARD),
        Row("Exploration", _EXPLORE),
        Row("Coverage", _COVER),
        Row("Calibration", _KNOW),
        Row("Learning", _LEARN),
        Row("The monitor", _WATCH),
    ),
)
