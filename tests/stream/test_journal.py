"""What a worker says of the order in which it folded the shared topics."""

from aiokafka import TopicPartition
from msgspec import UNSET

from state.slate import Folded, FoldedRun
from stream.journal import MOST_RUNS, Journal

D0, D1, ITEMS = TopicPartition("deltas", 0), TopicPartition("deltas", 1), TopicPartition("items", 0)


class Folding:
    """A journal beside the offsets that a replica keeps."""

    def __init__(self, worker="w1"):
        self.offsets = {ITEMS: 0, D1: 0, D0: 0}
        self.journal = Journal(("deltas", "items"), self.offsets)
        self.journal.worker = worker

    def fold(self, tp, first, end):
        self.offsets[tp] = end
        self.journal.add(tp.topic, tp.partition, first, end)

    def said(self):
        said = self.journal.said()
        assert isinstance(said, Folded)
        return said


def test_what_is_said_has_every_offset_and_the_runs_in_their_order():
    it = Folding()
    it.fold(D1, 0, 3)
    it.fold(ITEMS, 0, 9)
    it.fold(D0, 2, 5)
    assert it.said() == Folded(
        "w1", 3, ((5, 3), (9,)), (FoldedRun(0, 1, 0, 3), FoldedRun(1, 0, 0, 9), FoldedRun(0, 0, 2, 5))
    )


def test_runs_are_said_again_until_a_transaction_with_them_is_in_the_log():
    it = Folding()
    it.fold(D0, 0, 1)
    assert [run.end for run in it.said().runs] == [1]
    it.fold(D0, 1, 2)
    assert [run.end for run in it.said().runs] == [1, 2]
    it.journal.committed()
    assert it.said().runs == ()
    assert it.said().number == 2


def test_a_run_that_comes_between_saying_and_commit_is_said_next():
    it = Folding()
    it.fold(D0, 0, 1)
    it.said()
    it.fold(D0, 1, 2)
    it.journal.committed()
    assert [run.end for run in it.said().runs] == [2]


def test_a_long_start_forgets_its_first_runs_and_keeps_their_number():
    it = Folding()
    for n in range(MOST_RUNS + 10):
        it.fold(D0, n, n + 1)
    assert len(it.said().runs) == MOST_RUNS
    assert it.said().number == MOST_RUNS + 10
    it.journal.committed()
    assert it.said().runs == ()


def test_a_journal_that_goes_on_from_a_snapshot_numbers_on_and_says_what_nobody_has_said():
    first = Folding("w1")
    first.fold(D0, 0, 1)
    first.said()
    first.journal.committed()
    first.fold(D1, 0, 4)
    saved = first.journal.saved()
    second = Folding("w2")
    second.journal.go_on(saved)
    second.fold(D0, 1, 2)
    said = second.said()
    assert (said.worker, said.parent, said.number) == ("w2", "w1", 3)
    assert said.runs == (FoldedRun(0, 1, 0, 4), FoldedRun(0, 0, 1, 2))


def test_a_journal_that_starts_over_has_no_parent():
    it = Folding()
    it.journal.go_on(Folding("w0").journal.saved())
    it.journal.start_over()
    assert it.said() == Folded("w1", 0, ((0, 0), (0,)))


def test_a_journal_without_a_name_says_nothing():
    assert Folding("").journal.said() is UNSET
