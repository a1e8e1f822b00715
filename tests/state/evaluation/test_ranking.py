import numpy as np
import pytest

from state.evaluation.contenders import CANDIDATES, Engine
from state.evaluation.protocols import frozen, in_test, run
from state.evaluation.ranking import Collector, closing_period, period_before, ranker_examples
from tests.state.evaluation.logs import DAY, HOUR, T, log_of, shop, turn

LOG = log_of(shop(1), T + 8 * DAY)


def engine(step):
    return Engine(rerank=step)


def test_the_last_training_period_is_as_long_as_the_test_and_right_before_it() -> None:
    before = period_before(LOG)
    begin, end = LOG.time[LOG.measured].min(), LOG.time[LOG.measured].max()
    measured = before.time[before.measured]
    assert measured.min() >= begin - (end + 1 - begin)
    assert measured.max() < begin
    assert before.time[~before.measured].max() < begin - (end - begin)


def test_no_test_session_is_learned_from_nor_asked_about() -> None:
    tested = set(LOG.session[in_test(LOG)].tolist())
    assert tested
    assert not tested & set(period_before(LOG).session.tolist())


def test_a_log_without_a_test_period_is_refused() -> None:
    with pytest.raises(ValueError, match="no interaction is in the test period"):
        period_before(log_of(shop(1), T + 99 * DAY))


def test_collecting_leaves_the_lists_as_they_are() -> None:
    questions = frozen(LOG)
    collector = Collector(questions)
    assert run(questions, engine(collector)).tolist() == run(questions, Engine()).tolist()


def test_a_list_is_noted_for_each_query_whose_candidates_hold_the_answer() -> None:
    questions = frozen(LOG)
    collector = Collector(questions)
    lists = run(questions, engine(collector), size=CANDIDATES)
    answers = questions.log.item[questions.by_session[questions.start]]
    places = [np.flatnonzero(row == answer) for row, answer in zip(lists, answers, strict=True)]
    found = [int(place[0]) for place in places if place.size]
    examples = collector.examples
    starts = np.cumsum(examples.sizes) - examples.sizes
    assert found
    assert (np.flatnonzero(examples.labels) - starts).tolist() == found


def test_a_basket_that_came_next_is_several_answers() -> None:
    events = [turn(f"u{n}", "a b c", T + n * HOUR) for n in range(20)]
    events += [turn("x", "a", T + 2 * DAY), turn("x", "b c", T + 2 * DAY + 1000)]
    questions = frozen(log_of(events, T + 2 * DAY))
    collector = Collector(questions)
    run(questions, engine(collector))
    assert collector.examples.labels.sum() == 2


def test_what_a_ranker_learns_from_are_the_queries_of_the_period() -> None:
    told: list[int] = []
    before = period_before(LOG)
    examples = ranker_examples(before, engine, on_progress=told.append)
    collector = Collector(frozen(before))
    run(frozen(before), engine(collector))
    assert told[-1] == len(frozen(before).queries)
    assert 0 < examples.sizes.size <= told[-1]
    assert examples.features.tolist() == collector.examples.features.tolist()


def test_the_closing_period_is_the_last_part_of_the_time() -> None:
    closing = closing_period(LOG, 0.2)
    assert closing.time[closing.measured].min() > LOG.time.max() - 2 * DAY
    assert closing.time[~closing.measured].max() <= LOG.time.max() - 0.2 * (LOG.time.max() - LOG.time.min())
    assert closing_period(LOG.taken(LOG.time < 0), 0.2).rows == 0
