from state.evaluation.baselines import rules
from state.evaluation.baselines.rules import SEQUENTIAL, STEPS, TOGETHER, PairRules
from state.retrieval.blend import Query
from tests.state.retrieval.shops import CLICK, T, make_delta


def taught(pairs, *sessions: str) -> PairRules:
    contender = PairRules(pairs)
    for number, items in enumerate(sessions, 1):
        contender.learn([make_delta([(item, number, T, CLICK) for item in items])])
    return contender


def names(contender: PairRules, query: Query, size: int = 20) -> str:
    return "".join(contender.item_ids[n] for n in contender.rank([query], size)[0] if n >= 0)


def test_a_sequential_rule_weighs_by_the_steps_between() -> None:
    assert names(taught(SEQUENTIAL, "abc", "ac", "ac", "adb"), Query(("a",))) == "cbd"
    assert names(taught(SEQUENTIAL, "abc"), Query(("c",))) == ""


def test_together_goes_both_ways_whatever_the_steps() -> None:
    assert names(taught(TOGETHER, "abc", "cb"), Query(("c",))) == "ba"


def test_only_the_last_item_counts_and_before_a_session_that_of_the_history() -> None:
    contender = taught(SEQUENTIAL, "ab", "cd")
    assert names(contender, Query(("c", "a"))) == "b"
    assert names(contender, Query((), ("a", "c"))) == "d"
    assert names(contender, Query(("?",))) == names(contender, Query(())) == ""


def test_an_item_that_comes_again_makes_a_rule_to_itself() -> None:
    assert names(taught(SEQUENTIAL, "aab"), Query(("a",))) == "ba"


def test_a_session_may_go_on_in_a_later_delta() -> None:
    contender = PairRules(SEQUENTIAL)
    for item in "ab":
        contender.learn([make_delta([(item, 1, T, CLICK)])])
    contender.learn([make_delta([("c", 0, T, CLICK)])])
    assert names(contender, Query(("a",))) == "b"


def test_a_pair_reaches_so_far_and_no_further() -> None:
    alphabet = "abcdefghijklmnop"
    assert names(taught(SEQUENTIAL, alphabet), Query(("a",))) == alphabet[1 : STEPS + 1]


def test_sessions_that_can_go_on_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(rules, "MAX_SESSIONS", 2)
    contender = taught(SEQUENTIAL, "a", "b", "c")
    contender.learn([make_delta([("x", 1, T, CLICK), ("y", 3, T, CLICK)])])
    assert names(contender, Query(("a",))) == ""
    assert names(contender, Query(("c",))) == "y"
