import logging
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.ranking.features import FEATURE_SET, N_FEATURES
from state.ranking.trees import trees_of
from stream.config import Settings
from stream.ranker import RankerFollower, RankerRefused, decode_ranker, encode_ranker, ranker_of
from tests.state.ranking.made import made_infos
from tests.stream.made_ranker import made_artefact, made_card

GOOD = made_artefact()


def record(value, offset=0):
    return SimpleNamespace(value=value, offset=offset)


@pytest.fixture
def followed():
    taken = []
    return RankerFollower(Settings(), taken.append), taken


# The artefact ----------------------------------------------------------------------------------------


def test_what_is_written_is_read_back():
    card, trees = made_card(), trees_of(made_infos(3))
    artefact = decode_ranker(encode_ranker(card, trees))
    assert artefact.card == card
    assert all(
        (read == written).all() and read.dtype == written.dtype
        for read, written in zip(artefact.trees, trees, strict=True)
    )


def test_the_card_is_a_line_of_json_for_everybody_to_read():
    header = msgspec.json.decode(GOOD.partition(b"\n")[0])
    assert header["freshslate_ranker"] == 1
    assert header["card"]["source"] == "decision log"
    assert header["sha256"].startswith(decode_ranker(GOOD).version)


def test_another_ranker_is_another_version_and_the_same_one_the_same():
    versions = {decode_ranker(made_artefact(seed)).version for seed in (1, 1, 2)}
    assert len(versions) == 2
    assert ranker_of(decode_ranker(GOOD)).version in versions


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_damaged_artefact_is_refused_wherever_it_is_damaged(place, flip):
    damaged = bytearray(GOOD)
    damaged[place] ^= flip
    try:
        artefact = decode_ranker(bytes(damaged))
    except RankerRefused:
        return
    # JSON has more than one way to write a name or a space; what it says is the same then.
    assert artefact.version == decode_ranker(GOOD).version


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(value):
    with pytest.raises(RankerRefused):
        decode_ranker(value)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_cut_artefact_is_refused(kept):
    with pytest.raises(RankerRefused, match="damaged"):
        decode_ranker(GOOD[: int(kept * len(GOOD))])


def test_an_artefact_of_another_format_is_refused():
    with pytest.raises(RankerRefused, match="format 2, this Freshslate reads 1"):
        decode_ranker(GOOD.replace(b'"freshslate_ranker":1', b'"freshslate_ranker":2'))


def test_a_ranker_over_other_features_is_refused():
    with pytest.raises(RankerRefused, match=f"feature set is 0badcafe, this Freshslate has {FEATURE_SET}"):
        decode_ranker(made_artefact(feature_set="0badcafe"))


def test_trees_that_would_read_beyond_their_arrays_are_refused():
    trees = trees_of(made_infos(1))
    beyond = trees.feature.copy()
    beyond[0] = N_FEATURES
    broken = [
        trees._replace(feature=beyond),
        trees._replace(feature=trees.feature[:-1]),
        trees._replace(ends=trees.ends + 1),
        trees._replace(ends=trees.ends[::-1].copy()),
        trees._replace(leaf=trees.leaf[:-1]),
        trees._replace(leaf=trees.leaf * float("nan")),
    ]
    for each in broken:
        with pytest.raises(RankerRefused, match="it is damaged"):
            decode_ranker(encode_ranker(made_card(), each))


# Following -------------------------------------------------------------------------------------------


def test_the_latest_of_several_serves(followed):
    follower, taken = followed
    follower._take([record(made_artefact(seed)) for seed in (1, 2, 3)])
    assert [ranker.version for ranker in taken] == [decode_ranker(made_artefact(3)).version]
    assert follower.artefact.card == made_card()


def test_a_damaged_one_leaves_the_one_before_in_charge(followed, caplog):
    follower, taken = followed
    follower._take([record(GOOD)])
    with caplog.at_level(logging.WARNING):
        follower._take([record(GOOD[:-1], offset=7)])
    assert follower.artefact.version == decode_ranker(GOOD).version
    assert (len(taken), follower.refused) == (1, 1)
    assert "offset 7 is left out: it is damaged" in caplog.text
    assert f"ranker {follower.artefact.version} serves" in caplog.text


def test_at_the_start_the_latest_that_can_serve_is_taken_up(followed):
    follower, taken = followed
    follower._take([record(made_artefact(1)), record(made_artefact(2)), record(b"broken")])
    assert [ranker.version for ranker in taken] == [decode_ranker(made_artefact(2)).version]


def test_a_record_without_a_value_puts_the_blend_in_charge(followed):
    follower, taken = followed
    follower._take([record(GOOD)])
    follower._take([record(None)])
    assert taken[-1] is None
    assert follower.artefact is None
