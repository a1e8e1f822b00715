import numpy as np

from state.retrieval.votes import Votes


def votes(*cast: tuple[int, int, float]) -> Votes:
    item, voter, score = zip(*cast, strict=True)
    return Votes(np.array(item, np.int32), np.array(voter, np.int32), np.array(score, np.float64))


def test_a_voter_who_votes_twice_for_an_item_counts_once_with_both() -> None:
    assert votes((1, 7, 0.25), (2, 7, 9.0), (1, 8, 0.5), (1, 7, 0.5)).of(1) == [(7, 0.75), (8, 0.5)]


def test_the_factor_scales_the_best_item_to_the_weight() -> None:
    assert votes((1, 7, 2.0), (1, 8, 2.0), (3, 7, 1.0)).factor(0.5, 4) == 0.125


def test_no_votes_have_no_factor() -> None:
    nobody = Votes(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    assert nobody.factor(1.0, 4) == 0.0
    assert nobody.of(1) == []
