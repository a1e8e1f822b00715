from state.evaluation.baselines.repeat import Repeats
from state.retrieval.blend import Query


def test_the_users_own_items_come_back_latest_first() -> None:
    contender = Repeats()
    contender.learn([])
    ranked = contender.rank([Query(("a", "b", "a"), ("c", "b", "d"), exclude={"b"}), Query(())], 3)
    assert [[contender.item_ids[n] for n in row if n >= 0] for row in ranked] == [["a", "d", "c"], []]
