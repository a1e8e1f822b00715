import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import (
    ACTIVITY_TYPES,
    EVENT_TYPES,
    POSITIVE_TYPES,
    TOPIC_TYPES,
    TYPE_CODES,
    Event,
    EventItem,
    EventRules,
    state_key,
)

tenants = st.one_of(st.just("default"), st.text(alphabet="ab", min_size=1, max_size=3))
users = st.text(alphabet="abdefault|", min_size=1, max_size=12)


def test_type_codes_are_append_only():
    assert [TYPE_CODES[name] for name in EVENT_TYPES] == list(range(len(EVENT_TYPES)))
    assert EVENT_TYPES[:10] == (
        "impression",
        "view",
        "click",
        "add_to_cart",
        "remove_from_cart",
        "purchase",
        "refund",
        "search",
        "like",
        "skip",
    )


def test_positive_types_are_activity_and_a_refund_is_not():
    assert POSITIVE_TYPES < ACTIVITY_TYPES
    assert set(EVENT_TYPES) - ACTIVITY_TYPES == {"refund"}


def test_every_topic_name_implies_a_known_type():
    assert set(TOPIC_TYPES.values()) == set(EVENT_TYPES)


def test_the_default_tenant_has_bare_keys():
    assert state_key("default", "u1") == "u1"
    assert state_key("shop", "u1") == "shop|u1"
    assert state_key("default", "shop|u1") == "default|shop|u1"


@given(tenants, users, tenants, users)
def test_two_users_never_share_a_key(tenant, user, other_tenant, other_user):
    same = (tenant, user) == (other_tenant, other_user)
    assert (state_key(tenant, user) == state_key(other_tenant, other_user)) == same


def test_an_event_knows_its_key():
    event = Event(event_id="e", type="search", user_id="u", time=1, tenant="shop")
    assert event.key == "shop|u"


def test_events_and_items_do_not_change():
    with pytest.raises(AttributeError):
        EventItem("a").quantity = 2.0


@pytest.mark.parametrize("name", ["max_bytes", "max_items", "max_id", "max_position", "max_age_ms"])
def test_a_limit_below_one_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        EventRules(**{name: 0})


def test_a_topic_cannot_imply_an_unknown_type():
    with pytest.raises(ValueError, match="unknown event types: tap"):
        EventRules(topic_types={"taps": "tap"})
