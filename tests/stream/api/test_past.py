"""What needs no broker of what the log is asked for; the rest is in tests/kafka/test_past.py."""

import pytest

from state.models import Models
from stream.api.past import NoSuchPast, Past
from stream.config import load_settings


@pytest.mark.parametrize(
    "slate_id",
    [
        "",
        "-",
        "events",
        "events-0",
        "events-0-",
        "events-0--1",
        "events--1-0",
        "events-0-1.5",
        "events-0-٣",
        "orders-0-0",
        "a\x00b-0-0",
        "events-0-" + 30 * "9",
    ],
)
async def test_what_cannot_be_the_id_of_a_slate_is_not_looked_for(slate_id: str) -> None:
    past = Past(load_settings(broker="nowhere.invalid:1"), Models())
    with pytest.raises(NoSuchPast, match="no slate"):
        await past.why(slate_id, "default", then=True, since=None)
