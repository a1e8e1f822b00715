import csv
import gzip
import random
import statistics
from collections import Counter
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from state.attribution import answer
from state.event import EVENT_TYPES, Event, EventItem
from state.policy.context import CONTEXT_SIZE
from state.profile import (
    ITEM_HASH_BYTES,
    MAX_ITEMS,
    MAX_OPEN_SLATES,
    MAX_SEEN,
    MAX_TOUCHED,
    NEW_PROFILE,
    SEEN_BYTES,
    Bought,
    OpenSlate,
    TouchedSlate,
    item_hash,
    item_hashes,
)
from state.reward import DAY_MS
from state.session import SessionRules, fold_event
from state.waiting import waiting_in, with_slate, with_waiting
from stream.codecs import encode_profile
from tests.state.shown import RULES

TAOBAO = Path(__file__).parents[2].parent / "shared" / "data" / "taobao" / "users_8day.csv.gz"
TAOBAO_TYPES = {"pv": "view", "cart": "add_to_cart", "fav": "like", "buy": "purchase"}
SLATE_SIZE = 10


def opened(items, offset=1_820_033, time=1_511_539_217_000):
    propensities = [0.5 ** (n + 1) for n in range(len(items))]
    return OpenSlate(
        f"events-3-{offset}",
        time,
        "feed",
        "softmax",
        "5c1f09ab",
        item_hashes(items),
        pack(f"<{len(items)}f", *propensities),
    )


def test_a_new_profile_is_empty():
    assert (NEW_PROFILE.session_key, NEW_PROFILE.items, NEW_PROFILE.open_slates) == (0, (), ())
    assert NEW_PROFILE.counts == (0,) * len(EVENT_TYPES)


def test_an_open_slate_finds_an_item_and_its_propensity():
    slate = opened(["a", "b", "c"])
    assert [slate.position_of(item) for item in "abcd"] == [1, 2, 3, None]
    assert slate.propensity_at(2) == 0.25


def test_item_hashes_are_the_same_in_every_process():
    assert item_hash("123456789") == 0xCBF43926.to_bytes(4, "little")  # the check value of CRC-32


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=30))
def test_every_item_of_a_slate_is_found_at_its_position(items):
    hashes = [item_hash(item) for item in items]
    slate = opened(items)
    assert [slate.position_of(item) for item in items] == [hashes.index(each) + 1 for each in hashes]


def test_a_hash_across_two_neighbours_is_no_match():
    target = item_hash("a")
    slate = replace(opened(["x", "y"]), items=b"\0" + target + b"\0" * 3)
    assert slate.position_of("a") is None
    slate = replace(slate, items=b"\0" + target + b"\0" * 3 + target)
    assert slate.position_of("a") == 3


def test_the_bounds_hold_the_largest_profile_to_its_parts():
    """The worst profile with 20-character ids: what an operator multiplies by the number of users."""
    items = tuple([f"item-{n:015d}" for n in range(MAX_ITEMS)])
    full = replace(
        NEW_PROFILE,
        session_key=2**53 - 1,
        session_id="s" * 36,
        session_start=1_763_831_001_512,
        last_time=1_763_831_001_512,
        base=1_763_831_001_512,
        items=items,
        times=(2**31 - 1,) * MAX_ITEMS,
        types=bytes(MAX_ITEMS),
        counts=(100_000,) * len(EVENT_TYPES),
        seen=bytes(MAX_SEEN * SEEN_BYTES),
        open_slates=(opened(items[:SLATE_SIZE]),) * MAX_OPEN_SLATES,
    )
    assert len(encode_profile(full)) < 1536
    assert len(full.open_slates[0].items) == SLATE_SIZE * ITEM_HASH_BYTES
    # Every answered item of a slate of its own, every purchase with an event id of 36 characters.
    bought = Bought(1, DAY_MS, 2**32 - 1, 5.0, 2.0, 1.0, "e" * 36 + ":0")
    touched = (TouchedSlate(**structs.asdict(opened(items[:1])) | {"answered": b"\1", "bought": (bought,)}),)
    busy = replace(full, touched=touched * MAX_TOUCHED)
    assert len(encode_profile(busy)) < 2816
    context = bytes(SLATE_SIZE * CONTEXT_SIZE)
    learning = replace(full, open_slates=(replace(full.open_slates[0], context=context),) * MAX_OPEN_SLATES)
    assert len(encode_profile(learning)) - len(encode_profile(full)) <= MAX_OPEN_SLATES * (len(context) + 1)


@pytest.mark.data
def test_the_profile_of_a_typical_active_taobao_user_is_at_most_1_kib(capsys):
    if not TAOBAO.exists():
        pytest.skip("../shared/data/taobao is absent: the size of profiles on REAL histories is NOT checked")
    with gzip.open(TAOBAO, "rt") as file:
        rows = list(csv.DictReader(file))
    every = Counter(row["user_id"] for row in rows)
    active = {user for user, count in every.items() if count >= 30}
    plain, some, many = (histories(rows, good_slates=share) for share in (0.0, 0.02, 0.1))
    with capsys.disabled():
        for name, profiles, users in (
            ("all", plain, every),
            ("30 events or more", plain, active),
            ("30 events or more, 2 % of the slates answered", some, active),
            ("30 events or more, 10 % of the slates answered", many, active),
        ):
            sizes = sorted(len(encode_profile(profiles[user])) for user in users)
            p50, p90, p99 = (sizes[int(len(sizes) * share)] for share in (0.5, 0.9, 0.99))
            print(
                f"\nTaobao profiles, {name}: {len(sizes)} users; p50 {p50}, p90 {p90}, p99 {p99}, "
                f"max {sizes[-1]} bytes",
                end="",
            )
    assert len(active) > 500
    for profiles, most in ((plain, 1024), (some, 1152), (many, 1536)):
        assert statistics.median(len(encode_profile(profiles[user])) for user in active) <= most


def histories(rows, *, good_slates):
    """Profiles after real histories, with a slate behind each event.

    The user's next item is in so many of them, a share.
    """
    catalogue = sorted({row["item_id"] for row in rows})
    later = {}
    following = [None] * len(rows)
    for number in range(len(rows) - 1, -1, -1):
        row = rows[number]
        following[number] = later.get(row["user_id"])
        later[row["user_id"]] = row["item_id"]
    rng, profiles = random.Random(7), {}
    for number, row in enumerate(rows):
        user = row["user_id"]
        event = Event(
            event_id=f"events-3-{number}",
            type=TAOBAO_TYPES[row["behavior"]],
            user_id=user,
            time=int(row["timestamp"]) * 1000,
            items=(EventItem(row["item_id"]),),
        )
        before = profiles.get(user, NEW_PROFILE)
        waiting = answer(waiting_in(before), event, RULES).waiting
        items = rng.sample(catalogue, SLATE_SIZE)
        if following[number] is not None and rng.random() < good_slates:
            items[rng.randrange(SLATE_SIZE)] = following[number]
        waiting = with_slate(waiting, opened(items, 1_820_033 + number, event.time), RULES)
        profiles[user] = with_waiting(fold_event(before, event, SessionRules()).profile, waiting)
    return profiles
