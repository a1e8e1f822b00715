"""What a request is told of many."""

from stream.api.ingest import Fault
from stream.api.outcome import in_order, told

ONE, TWO = Fault(1, "not_written", "-"), Fault(0, "wrong_id", "-")


def test_faults_stand_as_in_the_request() -> None:
    assert in_order([ONE], [TWO]) == [TWO, ONE]


def test_a_status_says_what_came_of_all_of_it() -> None:
    answers = [
        told({}, refused=refused, lost=lost) for refused, lost in ((False, []), (True, []), (False, [ONE]))
    ]
    assert [answer.status_code for answer in answers] == [202, 422, 503]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, None, "2"]
