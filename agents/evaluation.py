"""`freshslate evaluate`: wiring of the options to `stream.evaluation`."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console

from agents.file_options import Catalogue, Columns, FormatName, Limit, event_file
from state.retrieval.config import ModelConfig
from stream.config import load_settings

if TYPE_CHECKING:
    from state.evaluation.contenders import Contender
    from state.evaluation.protocols import Questions
    from stream.evaluation import Make, MarkedEvents, Plan, Split
    from stream.tuning import Tuned
    from stream.validation import MakeWith

ENGINE = "freshslate"
RANKED = f"{ENGINE}, ranker"
BASELINES = ("popularity", "repeat", "covisitation", "sr", "sknn", "vsknn", "stan", "vstan", "vmis")
"""Those of `state.evaluation.baselines.registry`, whose import takes a second."""
EXAMPLES = (
    "Examples: [bold]freshslate evaluate diginetica_stream --format periods --split 7d "
    "--baselines vstan,vsknn --set repeat_current_weight=0.8[/], "
    "[bold]freshslate evaluate users.csv.gz --format taobao --protocol prequential --split 1d "
    "--target category --baselines popularity,covisitation,repeat --json taobao.json[/], "
    "[bold]freshslate evaluate diginetica_stream --format periods --split 7d --freshness "
    "--plot freshness.png[/]"
)
out = Console()


def evaluate(
    path: Annotated[Path, typer.Argument(help="File or folder of events.")],
    form: FormatName,
    protocol: Annotated[
        Literal["frozen", "daily", "prequential"],
        typer.Option(help="When it learns: before the test only, at each midnight, after every event."),
    ] = "frozen",
    split: Annotated[
        str, typer.Option(help="The test period: days such as 7d, a share of the events, or a file.")
    ] = "0.1",
    items: Annotated[
        Literal["train", "all"], typer.Option(help="Test items: known from training only, or new ones too.")
    ] = "train",
    target: Annotated[
        Literal["item", "category"], typer.Option(help="Ask for items, or for their categories instead.")
    ] = "item",
    baskets: Annotated[
        Literal["whole", "lines"], typer.Option(help="Items of one event: asked for together, or one by one.")
    ] = "whole",
    late: Annotated[int, typer.Option(min=0, help="Days that the models are behind.")] = 0,
    batch: Annotated[
        int, typer.Option(min=1, help="prequential: events answered before they are learned.")
    ] = 1,
    sources: Annotated[str, typer.Option(help="Candidate sources, comma separated; default: all.")] = "",
    baselines: Annotated[str, typer.Option(help=f"Beside it, comma separated: {', '.join(BASELINES)}.")] = "",
    values: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the models, NAME=VALUE; several times.")
    ] = None,
    ranker: Annotated[
        bool, typer.Option("--ranker", help="Beside it: with a ranker, trained on what is before the test.")
    ] = False,
    variants: Annotated[
        list[str] | None,
        typer.Option("--variant", help="One more configuration, NAME=VALUE,NAME=VALUE; several times."),
    ] = None,
    freshness: Annotated[
        bool, typer.Option("--freshness", help="What being late costs, from every event to weeks.")
    ] = False,
    tune: Annotated[
        float | None, typer.Option(min=1, help="First search for better parameters, so many seconds.")
    ] = None,
    tuned: Annotated[Path, typer.Option(help="File to write them to, for workers.")] = Path("tuned.toml"),
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals' draws, and of --tune.")] = 1,
    result: Annotated[Path | None, typer.Option("--json", help="File to write the result to.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG to draw the result to.")] = None,
    limit: Limit = None,
    column: Columns = None,
    catalogue: Catalogue = None,
) -> None:
    """Judge the recommender on a log of events, beside baselines, with intervals.

    The models are those that a worker would run with the present settings. No broker is needed. Every result
    says its protocol; results of different protocols do not compare.
    """
    from stream.charts import check_charts  # noqa: PLC0415 - the models take a second to import
    from stream.evaluation import MarkedEvents, Plan  # noqa: PLC0415
    from stream.worker import model_config, recommend_rules, step_rules  # noqa: PLC0415

    if plot is not None:
        check_charts(plot)
    loaded = load_settings()
    begin = split_of(split)
    source = event_file(path, form, limit=limit, columns=column, catalogue=catalogue)
    test = None if begin.file is None else event_file(begin.file, form, columns=column)
    plan = Plan(
        protocol=protocol,
        items=items,
        target=target,
        baskets=baskets,
        late_days=late,
        batch=batch,
        sessions=step_rules(loaded).session,
        recommend=recommend_rules(loaded),
        seed=seed,
    )
    events = MarkedEvents(source, begin, test)
    config = configured(model_config(loaded), values or ())
    make = _make(_names(sources), events, plan)
    engines = _engines(config, variants or (), make)
    if tune is not None:
        found = _tuned(events, plan, make, config, tune)
        config = found.best.config
        _write_tuned(found, tuned, f"{path.name}, {protocol}, before {begin}")
        untuned = engines[ENGINE]
        engines[ENGINE] = partial(make, config)
        engines[f"{ENGINE}, not tuned"] = untuned
    if freshness:
        written = _freshness(events, plan, engines[ENGINE], plot)
    else:
        ranked = partial(make, config) if ranker else None
        written = _comparison(events, plan, engines, _names(baselines), plot, ranked=ranked)
    if result is not None:
        result.write_text(json.dumps(written, indent=2) + "\n")
        out.print(f"written to {result}", highlight=False)


def configured(config: ModelConfig, values: Sequence[str]) -> ModelConfig:
    """The configuration with these parameters, each NAME=VALUE, several with commas.

    Raises:
        BadParameter: There is no such parameter, or the value does not fit it.
    """
    changes: dict[str, Any] = {}
    for text in ",".join(values).split(",") if values else ():
        name, found, value = text.strip().partition("=")
        if not found or name not in ModelConfig.__struct_fields__:
            names = ", ".join(ModelConfig.__struct_fields__)
            message = f"{text!r}: a parameter is NAME=VALUE; names are {names}"
            raise typer.BadParameter(message)
        changes[name] = value
    try:
        return msgspec.convert(msgspec.to_builtins(config) | changes, ModelConfig, strict=False)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error)) from None


def split_of(text: str) -> "Split":
    """The test period that `--split` names."""
    from stream.evaluation import parse_split  # noqa: PLC0415

    try:
        return parse_split(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _make(sources: Sequence[str], events: "MarkedEvents", plan: "Plan") -> "MakeWith":
    """How the engine is made with given parameters."""
    from state.evaluation.contenders import Engine  # noqa: PLC0415

    catalogue = events.catalogue() if plan.target == "item" else {}
    return partial(Engine, sources=sources or None, catalogue=catalogue)


def _engines(config: ModelConfig, variants: Sequence[str], make: "MakeWith") -> dict[str, "Make"]:
    """The engine, and its variants by what they change."""
    try:
        make(config)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    engines: dict[str, Make] = {ENGINE: partial(make, config)}
    for variant in variants:
        engines[f"{ENGINE}, {variant}"] = partial(make, configured(config, [variant]))
    return engines


def _tuned(
    events: "MarkedEvents", plan: "Plan", make: "MakeWith", start: ModelConfig, seconds: float
) -> "Tuned":
    """Search, and print what was found."""
    from stream.screens.tuning import TuningScreen, print_tuned  # noqa: PLC0415
    from stream.validation import Search, tune_on  # noqa: PLC0415

    with TuningScreen(out, seconds) as screen:
        found = tune_on(events, plan, make, start, Search(seconds, plan.seed, screen.show))
    print_tuned(out, found)
    return found


def _write_tuned(found: "Tuned", path: Path, data: str) -> None:
    from stream.model_file import write_model_file  # noqa: PLC0415

    origin = {
        "data": data,
        "trials": found.trials,
        "seconds": round(found.seconds),
        "start": dict(found.start.metrics),
        "best": dict(found.best.metrics),
    }
    write_model_file(path, found.values, origin)
    out.print(f"parameters written to {path}: FRESHSLATE_MODEL_FILE={path}", highlight=False)


def _comparison(
    events: "MarkedEvents",
    plan: "Plan",
    engines: Mapping[str, "Make"],
    baselines: Sequence[str],
    plot: Path | None,
    *,
    ranked: "Callable[..., Contender] | None",
) -> dict[str, Any]:
    from state.evaluation.results import as_json  # noqa: PLC0415
    from stream.charts import plot_results  # noqa: PLC0415
    from stream.evaluation import ask, compare_contenders, contenders, statement  # noqa: PLC0415
    from stream.screens.evaluation import EvaluationScreen, print_results, print_statement  # noqa: PLC0415

    makers = contenders(engines, baselines, plan)
    with EvaluationScreen(out) as screen:
        questions = ask(events, plan)
        if ranked is not None:
            # First, so that differences are those of the ranker.
            makers = {RANKED: _with_ranker(questions, ranked)} | makers
        results = compare_contenders(questions, makers, seed=plan.seed, on_progress=screen.show)
    stated = statement(events, questions, plan)
    print_statement(out, stated)
    print_results(out, results)
    if plot is not None:
        plot_results(results, f"{plan.protocol}, {events.split}", plot)
    return {"protocol": stated, **as_json(results)}


def _with_ranker(questions: "Questions", engine: "Callable[..., Contender]") -> "Make":
    """The engine with a ranker that is trained here, on the last period before the test."""
    from stream.ranker import decode_ranker, ranker_of  # noqa: PLC0415
    from stream.retrain import train_before_test  # noqa: PLC0415
    from stream.screens.ranker import print_card  # noqa: PLC0415

    out.print("training the ranker on the last period before the test")
    artefact = decode_ranker(train_before_test(questions, lambda step: engine(rerank=step)))
    print_card(out, artefact)
    return partial(engine, rerank=ranker_of(artefact))


def _freshness(events: "MarkedEvents", plan: "Plan", make: "Make", plot: Path | None) -> dict[str, Any]:
    from stream.charts import plot_freshness  # noqa: PLC0415
    from stream.evaluation import ask, statement  # noqa: PLC0415
    from stream.freshness import freshness, lines_json  # noqa: PLC0415
    from stream.screens.evaluation import (  # noqa: PLC0415
        EvaluationScreen,
        print_freshness,
        print_statement,
    )

    with EvaluationScreen(out) as screen:
        lines = list(freshness(events, plan, make, on_progress=screen.show))
    stated = statement(events, ask(events, plan), plan) | {
        "protocol": "freshness",
        "means": "the same test events, answered by models of different age",
        "test_items": "known from training only, and all",
    }
    print_statement(out, stated)
    rows = [(line.name, *line.rows) for line in lines]
    print_freshness(out, rows)
    if plot is not None:
        curves = {
            "known items": [(name, known) for name, known, _ in rows],
            "new items too": [(name, everything) for name, _, everything in rows],
        }
        plot_freshness(curves, plot)
    return {"protocol": stated, "freshness": lines_json(lines)}
