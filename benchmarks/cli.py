"""The commands of `benchmarks`, declared; what they do is in the other modules.

Data goes to stdout, narration and progress to stderr. Exit codes: 0 done, 1 an error
without a kind of its own, 2 wrong usage, 3 a database, 4 a model, 5 data, 130 Ctrl+C.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.config import RunConfig, ScoreConfig
from benchmarks.options import Option, from_options, options_of
from t2sql_tui.cli.backend_options import backend_flag, backend_flags, chosen_options
from t2sql_tui.cli.group import CommandGroup
from t2sql_tui.core.errors import T2SQLError

if TYPE_CHECKING:
    from benchmarks.runner import RunOutcome

Command = Callable[..., Any]

_PATH = click.Path(path_type=Path)
_data = click.option(
    "--data",
    type=_PATH,
    metavar="DIR",
    help="Folder of the data sets (default: T2SQL_DATA, or ../shared/data).",
)
_model = click.option(
    "--model",
    "-m",
    required=True,
    help="Name of a model (see `t2sql-tui models`), or path of a .gguf file.",
)
_threads = backend_flag("gguf", "n_threads")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _config_options(config: type) -> Callable[[Command], Command]:
    """Adds the options of a configuration class; the command gets one of them, as `config`."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_config(**values: Any) -> Any:
            if "backend" in values:
                values["backend_options"] = chosen_options(values["backend"], values)
            return command(from_options(config, values))

        decorated: Command = with_config
        for option in reversed(options_of(config)):
            if option.name == "backend":
                decorated = backend_flags(decorated)
            decorated = _click_parameter(option)(decorated)
        return decorated

    return decorate


def _click_parameter(option: Option) -> Callable[[Command], Command]:
    metadata = option.metadata
    if metadata.get("argument"):
        return click.argument(option.name, type=_click_type(option))
    names = [option.flag, option.name]
    if short := metadata.get("short"):
        names.append(short)
    if option.kind is bool:
        return click.option(*names, is_flag=True, help=option.help)
    known: dict[str, Any] = {"required": True}
    if not option.required:
        known = {"default": option.default, "show_default": option.default is not None}
    if metavar := metadata.get("metavar"):
        known["metavar"] = metavar
    return click.option(*names, type=_click_type(option), help=option.help, **known)


def _click_type(option: Option) -> click.ParamType:
    least, most = option.metadata.get("least"), option.metadata.get("most")
    if option.choices:
        return click.Choice(list(option.choices))
    if option.kind is Path:
        return _PATH
    if (least, most) != (None, None):
        if option.kind is int:
            return click.IntRange(least, most)
        return click.FloatRange(least, most)
    kinds: dict[type, click.ParamType] = {
        int: click.INT,
        float: click.FLOAT,
        str: click.STRING,
    }
    return kinds[option.kind]


def _whole_numbers(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if not all(number.strip().isdecimal() and int(number) for number in numbers):
        raise click.BadParameter("write whole numbers with commas between: 5,10,20")
    return tuple(map(int, numbers))


def _note(text: object) -> None:
    """Narration, which leaves stdout to the data."""
    click.echo(text, err=True)


@click.group(cls=CommandGroup)
def main() -> None:
    """Measure how well a model answers questions with SQL.

    \b
    Examples:
      benchmarks run demo --model qwen2.5-coder-0.5b
      benchmarks run spider-dev --model qwen2.5-coder-0.5b --limit 100 --seed 1
      benchmarks score predict.txt --suite spider-dev
      benchmarks compare runs/A runs/B
      benchmarks ablation runs/GREEDY runs/BEAM4 runs/FULL --out docs/ablation.md
      benchmarks report runs/A runs/B --output report.html
    """


@main.command("list")
@_data
def list_suites(data: Path | None) -> None:
    """List the suites, their roles, and whether their data is here.

    \b
    Examples:
      benchmarks list
    """
    from tabulate import tabulate

    from benchmarks.suites import FORMATS, SUITES, load_suite

    rows: list[tuple[str, str, str, str, str]] = []
    for suite in SUITES.values():
        try:
            dataset = load_suite(suite.name, data)
            here = f"{len(dataset.examples):,} questions, {len(dataset.files):,} databases"
        except T2SQLError:
            here = f"not here: benchmarks fetch {suite.fetch}" if suite.fetch else "not here"
        rows.append((suite.name, suite.role, suite.title, here, suite.note))
    rows += [(f"{kind}:DIR", "", "Any folder in that layout", "", "") for kind in FORMATS]
    headers = ("suite", "role", "what", "data", "remark")
    click.echo(tabulate(rows, headers, tablefmt="simple", maxcolwidths=[None, None, 32, 30, 40]))


@main.command()
@click.argument("name", required=False)
@click.option(
    "--from", "downloaded", type=_PATH, metavar="FILE", help="File that you downloaded by hand."
)
@_data
def fetch(name: str | None, data: Path | None, downloaded: Path | None) -> None:
    """Download a data set from its makers, verified by its hash.

    \b
    Examples:
      benchmarks fetch                    list what there is
      benchmarks fetch spider             download, verify, unpack
      benchmarks fetch spider --from ~/Downloads/spider_data.zip
    """
    from tabulate import tabulate

    from benchmarks.fetch import SOURCES, check_spider, fetch_unless_there, find_source
    from benchmarks.suites import data_folder

    if name is None:
        rows = [(s.name, s.title, s.licence, s.page) for s in SOURCES.values()]
        click.echo(tabulate(rows, ("name", "what", "licence", "home"), tablefmt="simple"))
        return
    root = fetch_unless_there(find_source(name), data or data_folder(), downloaded, _note)
    click.echo(str(root))
    if name == "spider":
        click.echo(tabulate(check_spider(root), tablefmt="plain"))


@main.command()
@_config_options(RunConfig)
def run(config: RunConfig) -> None:
    """Ask a model every question of SUITE and score the answers.

    Writes a line an example to runs/NAME/predictions.jsonl; the same command again goes on
    where it stopped. Ctrl+C loses nothing.

    \b
    Examples:
      benchmarks run spider-dev --model qwen2.5-coder-0.5b
      benchmarks run spider-train-holdout --model m.gguf --limit 200 --seed 1
      benchmarks run spider-train-holdout --model m.gguf --decoding full --score-candidates
      benchmarks run spider-format:~/mine --model qwen2.5-coder-0.5b
    """
    from benchmarks.runner import run_suite

    outcome = run_suite(config, _note)
    if outcome.results is None:
        _note(
            f"Stopped after {outcome.answered} of {outcome.questions} questions; all of "
            f"them are in {outcome.folder}. The same command goes on from there."
        )
        raise click.exceptions.Exit(130)
    _print_outcome(outcome)


@main.command()
@_config_options(ScoreConfig)
def score(config: ScoreConfig) -> None:
    """Score PREDICTIONS made by anyone: predict.txt, JSONL, or the folder of a run.

    predict.txt is Spider's: one SQL a line in the suite's order, a tab and the database
    may follow. JSONL lines hold "id" and "sql" (or "text", from which the SQL is taken). A
    run's own predictions.jsonl can be scored again.

    \b
    Examples:
      benchmarks score predict.txt --suite spider-dev
      benchmarks score runs/mine/predictions.jsonl --suite spider-dev --keep-distinct
    """
    from benchmarks.predictions import score_file

    _print_outcome(score_file(config, _note))


def _print_outcome(outcome: RunOutcome) -> None:
    """Prints the tables of a finished run, and what to type next."""
    from tabulate import tabulate

    from benchmarks.tables import suite_sentence, summary_tables

    results = outcome.results
    assert results is not None
    for title, rows, headers in summary_tables(results):
        click.echo(f"\n{title}")
        click.echo(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
    if sentence := suite_sentence(results):
        click.echo(f"\n{sentence}")
    if failing := results["gold_fails"]:
        click.echo(
            f"\nThe gold SQL of {len(failing)} questions fails; they count as wrong: "
            f"{', '.join(failing[:20])}{', ...' if len(failing) > 20 else ''}",
        )
    _note(f"\nEverything is in {outcome.folder}. Next:")
    _note(f"  benchmarks report {outcome.folder}")


@main.command()
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@click.option(
    "--changed",
    default=10,
    show_default=True,
    help="Maximum number of changed examples to print each way.",
)
@_json
def compare(a: Path, b: Path, changed: int, as_json: bool) -> None:
    """Compare two runs, question by question.

    Paired: McNemar's test, a bootstrap interval of the difference clustered by gold SQL,
    and the examples that changed.

    \b
    Examples:
      benchmarks compare runs/A runs/B
      benchmarks compare runs/A runs/B --changed 3
    """
    from benchmarks.compare import comparison, comparison_text
    from benchmarks.run_folder import load_run

    found = comparison(load_run(a), load_run(b))
    click.echo(json.dumps(found, indent=1) if as_json else comparison_text(found, changed))


@main.command()
@click.argument("runs", nargs=-1, type=_PATH, required=True)
@click.option(
    "--out", "-o", type=_PATH, metavar="FILE", help="Also write the table as FILE.md and FILE.json."
)
def ablation(runs: tuple[Path, ...], out: Path | None) -> None:
    """Print one table of RUNS over the same questions, each against the first.

    \b
    Examples:
      benchmarks ablation runs/GREEDY runs/CONSTRAINED runs/BEAM4 runs/VOTE8 runs/FULL
    """
    from benchmarks.compare import ablation as compared
    from benchmarks.compare import ablation_text
    from benchmarks.run_folder import load_run, write_json

    found = compared([load_run(path) for path in runs])
    text = ablation_text(found)
    click.echo(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(text + "\n", "utf-8")
        write_json(out.with_suffix(".json"), found)


@main.command()
@click.argument("runs", nargs=-1, type=_PATH, required=True)
@click.option(
    "--out",
    "-o",
    type=_PATH,
    metavar="FILE",
    help="File to write (default: models/NAME/confidence.json of the model in RUNS).",
)
def calibrate(runs: tuple[Path, ...], out: Path | None) -> None:
    """Fit the confidence that the app states, on RUNS over held-out training databases.

    A logistic regression for the probability that an answer is right. How well it holds is
    measured on databases that it was not fitted on.

    \b
    Examples:
      benchmarks run spider-train-holdout --model qwen2.5-coder-0.5b --decoding full
      benchmarks run spider-syn-holdout --model qwen2.5-coder-0.5b --decoding full
      benchmarks calibrate runs/spider-*-holdout--qwen2.5-coder-0.5b--full
    """
    from benchmarks.calibrate import calibrated, calibration_text, write_confidence
    from benchmarks.run_folder import load_run

    fitted = calibrated([load_run(path) for path in runs])
    click.echo(calibration_text(fitted))
    _note(write_confidence(fitted, out))


@main.command()
@click.argument("runs", nargs=-1, type=_PATH)
@click.option(
    "--output",
    "-o",
    type=_PATH,
    help="File to write (default: report.html in the first run's folder).",
)
@click.option(
    "--publish", is_flag=True, help="Keep the compact results in benchmarks/results/ too."
)
@click.option(
    "--readme", is_flag=True, help="Rewrite the README's score table from benchmarks/results/."
)
@_data
def report(
    runs: tuple[Path, ...], output: Path | None, publish: bool, readme: bool, data: Path | None
) -> None:
    """Write one HTML page about RUNS, and print a Markdown table of them.

    \b
    Examples:
      benchmarks report runs/A
      benchmarks report runs/A runs/B --output report.html
      benchmarks report --readme
    """
    from benchmarks import results as numbers
    from benchmarks.report.page import run_names, write_report
    from benchmarks.run_folder import load_run
    from benchmarks.tables import markdown_calibration, markdown_table, write_readme_table

    if not runs and not readme:
        raise click.UsageError("Name one run or more, or --readme.")
    if runs:
        loaded = [load_run(path) for path in runs]
        found = [numbers.summarise(each.lines, each.info) for each in loaded]
        output = output or loaded[0].folder / "report.html"
        write_report(loaded, found, output, data)
        click.echo(markdown_table(found))
        if table := markdown_calibration(found, run_names(loaded)):
            click.echo(f"\n{table}")
        _note(output)
        if publish:
            for each, results in zip(loaded, found, strict=True):
                _note(numbers.publish(each, results))
    if readme:
        target = Path(__file__).parent.parent / "README.md"
        write_readme_table(target, numbers.published())
        _note(target)


@main.command()
@_model
@click.option("--suite", default="demo", show_default=True, help="Suite whose questions are asked.")
@click.option(
    "--limit", default=24, show_default=True, type=click.IntRange(2), help="Number of questions."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random draw of questions.")
@_threads
@_json
@_data
def profile(as_json: bool, **options: Any) -> None:
    """Measure speed and memory, against raw llama.cpp on the same tokens in the same run.

    \b
    Examples:
      benchmarks profile --model qwen2.5-coder-0.5b
      benchmarks profile --model qwen2.5-coder-0.5b --limit 8 --threads 2
    """
    from benchmarks.profile import profile_model, profile_text

    found = profile_model(**options, note=_note)
    click.echo(json.dumps(found, indent=1) if as_json else profile_text(found))


@main.command()
@click.argument("suite", default="spider-train-holdout")
@click.option(
    "--k",
    "ks",
    default="5,10,20",
    show_default=True,
    callback=_whole_numbers,
    help="Numbers of best-ranked tables at which recall is measured.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Number of questions, drawn at random (default: all).",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random draw of questions.")
@click.option("--fit", is_flag=True, help="Fit the ranker's weights on SUITE and print them.")
@click.option("--publish", is_flag=True, help="Keep the figures in benchmarks/results/.")
@_data
def linking(
    suite: str,
    ks: tuple[int, ...],
    limit: int | None,
    seed: int,
    fit: bool,
    publish: bool,
    data: Path | None,
) -> None:
    """Measure schema linking: recall@k of the needed tables, among all databases merged.

    No model is needed. SUITE may be one of Spider's, any spider-format:DIR, or bird-schemas.

    \b
    Examples:
      benchmarks linking --k 5,10,20
      benchmarks linking bird-schemas --limit 1000
      benchmarks linking spider-train --fit --limit 1000
    """
    from benchmarks.linking import fitted_weights, publish_linking, recall_of_suite
    from benchmarks.merged_database import load_merged

    merged = load_merged(suite, limit, seed, data)
    if fit:
        click.echo(json.dumps(fitted_weights(merged), indent=4))
        return
    found = recall_of_suite(suite, merged, ks)
    click.echo(json.dumps(found, indent=1))
    if publish:
        publish_linking(suite, found)


if __name__ == "__main__":
    sys.exit(main())
