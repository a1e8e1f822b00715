"""Trains a ranker with LightGBM, which is an extra: without it everything else works.

Why LightGBM, and why the trees are not scored by it: docs/decisions/ranker.md.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import ModuleType
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from state.errors import FreshslateError
from state.ranking.examples import MOST_LABEL, Examples, Quality, blended, quality
from state.ranking.features import FEATURES
from state.ranking.trees import MOST_LEAVES, Trees, score_all, trees_of

LEAST_LISTS: Final = 200
"""Fewer lists than this are not trained on."""
JUDGED_SHARE: Final = 0.2
"""The last part of the lists, which a first training leaves out to be judged by."""
_SEED: Final = 1


class TrainingError(FreshslateError):
    """No ranker was trained; the message says what to do."""


class TrainingRules(Struct, frozen=True, kw_only=True):
    """How trees are grown; LightGBM's names."""

    num_trees: int = 100
    learning_rate: float = 0.1
    num_leaves: int = 31
    min_data_in_leaf: int = 100
    lambda_l2: float = 1.0
    feature_fraction: float = 0.8
    bagging_fraction: float = 0.8

    def __post_init__(self) -> None:
        if not 2 <= self.num_leaves <= MOST_LEAVES:
            message = f"num_leaves must be in [2, {MOST_LEAVES}], got {self.num_leaves}"
            raise ValueError(message)


class Trained(NamedTuple):
    """A ranker, and how good it is."""

    trees: Trees
    metrics: dict[str, float]
    """Of lists that it was not trained on, beside those of the blend."""
    importance: dict[str, float]
    """Share of the loss that splits on a feature took away."""
    parameters: dict[str, float]
    library: str


def load_lightgbm() -> ModuleType:
    """LightGBM.

    Raises:
        TrainingError: It, or a system library that it needs, is missing.
    """
    try:
        import lightgbm  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = f"training a ranker needs LightGBM ({error}): pip install 'freshslate[ranker]'"
        raise TrainingError(message) from None
    except OSError as error:
        message = (
            f"LightGBM is installed but cannot be loaded: {error}. It needs the OpenMP runtime: "
            "apt-get install libgomp1, or your system's package of that library"
        )
        raise TrainingError(message) from None
    return lightgbm


def train(
    examples: Examples,
    rules: TrainingRules | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train on all examples; the metrics are of the same training without their last part, on that part.

    The same examples and versions give the same trees.

    Args:
        examples: In the order of time.
        rules: How trees are grown.
        on_progress: Told how many trees are grown, of how many.

    Raises:
        TrainingError: LightGBM is missing, or there are too few examples.
    """
    rules = rules or TrainingRules()
    lightgbm = load_lightgbm()
    if examples.sizes.size < LEAST_LISTS:
        message = (
            f"{examples.sizes.size} lists to learn from, and {LEAST_LISTS} are needed: a list is a slate "
            "that was rewarded and logs its features (FRESHSLATE_LOG_FEATURES), or one step of a session"
        )
        raise TrainingError(message)
    past, judged = examples.split(1.0 - JUDGED_SHARE)
    total = 2 * rules.num_trees

    def grown(before: int) -> Callable[[Any], None]:
        return lambda env: on_progress(before + env.iteration + 1, total) if on_progress else None

    trees = trees_of(_fit(lightgbm, past, rules, grown(0)).dump_model()["tree_info"])
    found, before = quality(judged, _scores(trees, judged)), quality(judged, blended(judged))
    booster = _fit(lightgbm, examples, rules, grown(rules.num_trees))
    gains = booster.feature_importance("gain")
    return Trained(
        trees_of(booster.dump_model()["tree_info"]),
        {**_named(found, ""), **_named(before, "blend_"), "judged_lists": float(judged.sizes.size)},
        {name: float(gain / max(gains.sum(), 1e-9)) for name, gain in zip(FEATURES, gains, strict=True)},
        asdict(rules),
        f"lightgbm {version('lightgbm')}",
    )


def _fit(
    lightgbm: ModuleType, examples: Examples, rules: TrainingRules, callback: Callable[[Any], None]
) -> Any:
    data = lightgbm.Dataset(
        examples.features,
        examples.labels,
        group=examples.sizes,
        # LightGBM learns how much a position is looked at, and takes it out (unbiased LambdaMART).
        position=examples.positions if examples.positions.any() else None,
        feature_name=list(FEATURES),
        params={"use_missing": False, "verbose": -1},
    )
    return lightgbm.train(_parameters(rules), data, rules.num_trees, callbacks=[callback])


def _parameters(rules: TrainingRules) -> Mapping[str, Any]:
    grown = {name: value for name, value in asdict(rules).items() if name != "num_trees"}
    return {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 20,
        "label_gain": list(range(MOST_LABEL + 1)),
        "bagging_freq": 1,
        "use_missing": False,
        "seed": _SEED,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
        **grown,
    }


def _scores(trees: Trees, examples: Examples) -> Any:
    """[rows] the trees' scores, as serving has them."""
    rows = examples.features.shape[0]
    values = examples.features.T.reshape(1, -1, rows)
    return score_all(trees, values.copy(), examples.sizes.sum(keepdims=True))[0]


def _named(quality: Quality, prefix: str) -> dict[str, float]:
    return {f"{prefix}ndcg@10": quality.ndcg, f"{prefix}mrr": quality.mrr}
