import pytest

from stream.topic_rights import HIDDEN, MISSING, topics_found

EVERYTHING = 0b1111_1111_1000
"""As a broker without an authorizer says it: every operation on topics."""


class Admin:
    """Answers with topics made up."""

    def __init__(self, *topics):
        self._topics = topics
        self.asked = None

    async def _send_request(self, request):
        self.asked = request.build(lambda *fields: fields)
        return self

    @property
    def topics(self):
        return self._topics


def partition(number, replicas):
    return (0, number, 1, 0, list(replicas), list(replicas), [])


async def test_a_topic_is_told_with_its_fewest_copies_and_what_is_allowed():
    admin = Admin((0, "events", False, [partition(0, (1, 2, 3)), partition(1, (1, 2))], 1 << 3 | 1 << 8))
    assert await topics_found(admin, ["events"]) == {"events": (2, 2, {"Read", "Describe"}, False)}
    assert admin.asked == (["events"], False, False, True)  # makes no topic by asking for it


async def test_a_topic_that_is_not_there_is_left_out_and_one_that_must_not_be_seen_is_hidden():
    admin = Admin((MISSING, "a", False, [], 0), (HIDDEN, "b", False, [], 0), (0, "c", False, [], EVERYTHING))
    found = await topics_found(admin, ["a", "b", "c"])
    assert set(found) == {"b", "c"}
    assert found["b"].is_hidden
    assert found["c"].operations == {"Read", "Write", "Describe", "DescribeConfigs"}


@pytest.mark.parametrize("bits", [0, -2147483648])
async def test_no_operations_are_no_rights(bits):
    found = await topics_found(Admin((0, "a", False, [partition(0, (1,))], bits)), ["a"])
    assert found["a"].operations == set()
