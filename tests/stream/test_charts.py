import sys

import pytest

from state.evaluation.contenders import Engine
from state.evaluation.evidence import gather
from state.evaluation.offpolicy import judge
from state.evaluation.results import ALL
from state.policy.softmax import Softmax
from stream.charts import check_charts, plot_freshness, plot_judgement, plot_results
from stream.evaluation import EvaluationError, MarkedEvents, Plan, Split, ask, compare_contenders, contenders
from tests.state.evaluation.logged import world
from tests.stream.evaluations import made

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def results():
    makers = contenders({"engine": Engine}, ["popularity"], Plan())
    return compare_contenders(ask(MarkedEvents(made(), Split(days=3)), Plan()), makers, seed=1)


def test_results_become_a_png(results, tmp_path) -> None:
    plot_results(results, "made up", tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(PNG)


def test_a_curve_becomes_a_png(results, tmp_path) -> None:
    row = results.configurations["engine"].rows[ALL]
    curve = [("fresh", row), ("stale", results.configurations["popularity"].rows[ALL])]
    plot_freshness({"known items": curve}, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)


def test_a_missing_library_says_what_to_install(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EvaluationError, match=r"pip install 'freshslate\[evaluate\]'"):
        check_charts(tmp_path / "chart.png")


def test_a_missing_folder_is_told_before_the_run(tmp_path) -> None:
    check_charts(tmp_path / "chart.png")
    with pytest.raises(EvaluationError, match="there is no folder"):
        check_charts(tmp_path / "none" / "chart.png")


def test_a_judgement_becomes_a_png(tmp_path) -> None:
    log = world(300, [(Softmax(temperature=0.3), 1.0)])
    judgement = judge(gather(log, Softmax(temperature=0.25)), rounds=20)
    plot_judgement(judgement, "made up", tmp_path / "judged.png")
    assert (tmp_path / "judged.png").read_bytes().startswith(PNG)
