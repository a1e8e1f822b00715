import pytest
from pydantic import TypeAdapter, ValidationError

from stream.setting_types import (
    FOR_EVER,
    CommaList,
    FaultPoint,
    Horizons,
    InputFormats,
    Retention,
    Rewards,
    Weights,
)


def read(kind, value):
    return TypeAdapter(kind).validate_python(value)


def test_a_list_is_split_at_commas_and_stripped():
    assert read(CommaList, " clicks, purchases,,") == ("clicks", "purchases")
    assert read(CommaList, ("a",)) == ("a",)


def test_weights_are_names_with_numbers_and_1_where_there_is_none():
    assert read(Weights, "season=0.2, visual,") == (("season", 0.2), ("visual", 1.0))
    assert read(Weights, "") == ()
    assert read(Weights, (("season", 0.5),)) == (("season", 0.5),)


def test_a_weight_that_is_no_number_is_refused():
    with pytest.raises(ValidationError, match=r"must be names with weights, such as season=0\.2"):
        read(Weights, "season=much")


@pytest.mark.parametrize("seconds", [1, FOR_EVER])
def test_a_retention_is_above_0_or_for_ever(seconds):
    assert read(Retention, seconds) == seconds


@pytest.mark.parametrize("seconds", [0, -2])
def test_another_retention_is_refused(seconds):
    with pytest.raises(ValidationError, match="must be above 0, or -1 for ever"):
        read(Retention, seconds)


def test_a_fault_point_is_checked():
    assert read(FaultPoint, None) is None
    with pytest.raises(ValidationError):
        read(FaultPoint, "nowhere@x")


def test_rewards_and_horizons_stay_text_that_can_be_read():
    assert read(Rewards, "click=1 purchase=0.05*value") == "click=1 purchase=0.05*value"
    assert read(Horizons, "click=30m") == "click=30m"


@pytest.mark.parametrize(("kind", "text"), [(Rewards, "click=1 clik=2"), (Horizons, "view=1h click=2")])
def test_a_wrong_one_is_told_with_its_place(kind, text):
    with pytest.raises(ValidationError, match="part 2, 'cli"):
        read(kind, text)


def test_formats_are_topics_with_names_of_fronts_or_our_own():
    assert read(InputFormats, "web=segment, orders=freshslate") == ("web=segment", "orders=freshslate")
    with pytest.raises(ValidationError, match="such as clicks=segment; 'web' is none"):
        read(InputFormats, "web")
    with pytest.raises(ValidationError, match="names 'avro'; formats are freshslate, cloudevents, ga4, "):
        read(InputFormats, "web=avro")
