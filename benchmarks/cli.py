"""`benchmarks list | fetch | run | score | report | compare | ablation | calibrate | profile |
linking`.

Data goes to stdout, narration and progress to stderr. Exit codes: 0 done, 1 an error
without a kind of its own, 2 wrong usage, 3 a database, 4 a model, 5 data, 130 Ctrl+C.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.decodings import DECODINGS, DEFAULT
from benchmarks.shown import SCHEMAS
from t2sql_tui.cli.group import CommandGroup
from t2sql_tui.core.errors import T2SQLError

_PATH = click.Path(path_type=Path)
_data = click.option(
    "--data",
    type=_PATH,
    metavar="DIR",
    help="Folder that holds the data sets (default: T2SQL_DATA, or ../shared/data).",
)
_runs = click.option(
    "--runs",
    type=_PATH,
    default=Path("runs"),
    show_default=True,
    metavar="DIR",
    help="Where runs are kept.",
)

_model = click.option(
    "--model", "-m", required=True, help="A name from `t2sql-tui models`, or a .gguf file."
)
_threads = click.option(
    "--threads", type=click.IntRange(1), help="Processor threads of llama.cpp (default: all cores)."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _whole_numbers(_: Any, __: Any, text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if not all(number.strip().isdecimal() and int(number) for number in numbers):
        raise click.BadParameter("write whole numbers with commas between: 5,10,20")
    return tuple(map(int, numbers))


def _scoring(command: Any) -> Any:
    """The options of a verdict, for `run` and `score` alike."""
    for option in (
        click.option(
            "--suite-databases",
            type=_PATH,
            metavar="DIR",
            help="Also test on DIR/ID/*.sqlite (the official test suites).",
        ),
        click.option(
            "--neighbours",
            default=0,
            show_default=True,
            type=click.IntRange(0),
            help="Also test on so many generated neighbours of each database.",
        ),
        click.option(
            "--keep-distinct",
            is_flag=True,
            help="Let DISTINCT count, as the official script's --keep_distinct.",
        ),
        click.option(
            "--score-candidates",
            is_flag=True,
            help="Judge every candidate, so that ways of choosing can be measured from the file.",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=CommandGroup)
def main() -> None:
    """Measure how well a model answers questions with SQL.

    \b
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
    """Show the suites, and whether their data is here."""
    from tabulate import tabulate

    from benchmarks.suites import FORMATS, SUITES, load_suite

    rows = []
    for suite in SUITES.values():
        try:
            dataset = load_suite(suite.name, data)
            here = f"{len(dataset.examples):,} questions, {len(dataset.files):,} databases"
        except T2SQLError:
            here = f"not here: benchmarks fetch {suite.fetch}" if suite.fetch else "not here"
        rows.append((suite.name, suite.role, suite.title, here, suite.note))
    rows += [(f"{kind}:DIR", "", "Any folder in that layout", "", "") for kind in FORMATS]
    headers = ("suite", "role", "what", "data", "remark")
    click.echo(tabulate(rows, headers, tablefmt="simple", maxcolwidths=(None, None, 32, 30, 40)))


@main.command()
@click.argument("name", required=False)
@click.option(
    "--from", "downloaded", type=_PATH, metavar="FILE", help="A file that you downloaded by hand."
)
@_data
def fetch(name: str | None, data: Path | None, downloaded: Path | None) -> None:
    """Download a data set from its makers, verified by its hash.

    \b
    benchmarks fetch                    what there is
    benchmarks fetch spider             download, verify, unpack
    benchmarks fetch spider --from ~/Downloads/spider_data.zip
    """
    from difflib import get_close_matches

    from rich.console import Console
    from rich.progress import Progress
    from tabulate import tabulate

    from benchmarks.datasets import DataError
    from benchmarks.fetch import SOURCES, check_spider
    from benchmarks.fetch import fetch as fetch_source
    from benchmarks.suites import data_folder

    if name is None:
        rows = [(s.name, s.title, s.licence, s.page) for s in SOURCES.values()]
        click.echo(tabulate(rows, ("name", "what", "licence", "home"), tablefmt="simple"))
        return
    if name not in SOURCES:
        near = get_close_matches(name, SOURCES, 1, 0.4)
        raise DataError(
            f"There is no source '{name}'.",
            (f"Did you mean '{near[0]}'? " if near else "") + f"Known: {', '.join(SOURCES)}.",
        )
    source, folder = SOURCES[name], data or data_folder()
    if not (folder / source.folder).exists():
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(source.file, total=None)
            fetch_source(
                source,
                folder,
                downloaded=downloaded,
                on_bytes=lambda done, total: bar.update(task, completed=done, total=total),
            )
        click.echo(f"{source.title}: verified and unpacked.", err=True)
    root = folder / source.folder
    click.echo(str(root))
    if name == "spider":
        click.echo(tabulate(check_spider(root), tablefmt="plain"))


@main.command()
@click.argument("suite")
@_model
@click.option("--backend", default="gguf", show_default=True, help="gguf, peft or scripted.")
@click.option("--limit", type=click.IntRange(1), help="A random sample of so many questions.")
@click.option("--seed", default=0, show_default=True, help="Of the sample, and of sampled answers.")
@click.option(
    "--decoding",
    default=DEFAULT,
    show_default=True,
    type=click.Choice(list(DECODINGS)),
    help="; ".join(f"{name}: {found.note}" for name, found in DECODINGS.items()) + ".",
)
@click.option(
    "--candidates", type=click.IntRange(1, 16), help="Another number of answers than --decoding's."
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    help="Another than --decoding's (0: greedy); of several answers the first is greedy all the "
    "same.",
)
@click.option(
    "--max-tokens", type=click.IntRange(1), help="Another longest answer than --decoding's."
)
@click.option(
    "--repairs",
    type=click.IntRange(0),
    help="Another number than --decoding's of further tries that show the model its error.",
)
@click.option("--prompt-version", help="Another prompt version than the model's own.")
@click.option(
    "--schema",
    default="full",
    show_default=True,
    type=click.Choice(list(SCHEMAS)),
    help="What the model sees of the schema. "
    + "; ".join(f"{name}: {note}" for name, note in SCHEMAS.items())
    + ".",
)
@_threads
@_scoring
@click.option(
    "--replay",
    type=_PATH,
    metavar="RUN",
    help="Choose among the candidates of an earlier run in the same way instead of asking the "
    "model; its times for decoding count.",
)
@click.option(
    "--name", help="Of the run (default: made of the options, so that the same command resumes)."
)
@click.option("--restart", is_flag=True, help="Start over where a run of that name is there.")
@_runs
@_data
def run(**options: Any) -> None:
    """Ask a model every question of SUITE and score the answers.

    Writes a line an example to runs/NAME/predictions.jsonl; the same command again goes on
    where it stopped. Ctrl+C loses nothing.

    \b
    benchmarks run spider-dev --model qwen2.5-coder-0.5b
    benchmarks run spider-train-holdout --model m.gguf --limit 200 --seed 1
    benchmarks run spider-train-holdout --model m.gguf --decoding full --score-candidates
    benchmarks run spider-format:~/mine --model qwen2.5-coder-0.5b
    """
    from benchmarks.commands import run_suite

    run_suite(**options)


@main.command()
@click.argument("predictions", type=_PATH)
@click.option("--suite", required=True, help="The suite that they answer.")
@_scoring
@click.option(
    "--partial", is_flag=True, help="The file answers a part of the suite; score that part."
)
@click.option("--name", help="Of the run that is written (default: SUITE--scored-FILE).")
@_runs
@_data
def score(**options: Any) -> None:
    """Score PREDICTIONS made by anyone: predict.txt or JSONL.

    predict.txt is Spider's: one SQL a line in the suite's order, a tab and the database
    may follow. JSONL lines hold "id" and "sql" (or "text", from which the SQL is taken). A
    run's own predictions.jsonl can be scored again.
    """
    from benchmarks.commands import score_file

    score_file(**options)


@main.command()
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@click.option(
    "--changed", default=10, show_default=True, help="How many changed examples to show each way."
)
@_json
def compare(a: Path, b: Path, changed: int, as_json: bool) -> None:
    """Compare two runs, question by question.

    Paired: McNemar's test, a bootstrap interval of the difference clustered by gold SQL,
    and the examples that changed.
    """
    from benchmarks.commands import compare_runs

    compare_runs(a, b, changed, as_json)


@main.command()
@click.argument("runs", nargs=-1, type=_PATH, required=True)
@click.option(
    "--out", "-o", type=_PATH, metavar="FILE", help="Also write it as FILE.md and FILE.json."
)
def ablation(runs: tuple[Path, ...], out: Path | None) -> None:
    """One table of RUNS over the same questions, each against the first.

    \b
    benchmarks ablation runs/GREEDY runs/CONSTRAINED runs/BEAM4 runs/VOTE8 runs/FULL
    """
    from benchmarks.commands import ablate_runs

    ablate_runs(runs, out)


@main.command()
@click.argument("runs", nargs=-1, type=_PATH, required=True)
@click.option(
    "--out",
    "-o",
    type=_PATH,
    metavar="FILE",
    help="Where to write it (default: models/NAME/confidence.json of the model in RUNS).",
)
def calibrate(runs: tuple[Path, ...], out: Path | None) -> None:
    """Fit the confidence that the app states, on RUNS over held-out training databases.

    A logistic regression for the probability that an answer is right. What it is worth is
    measured on databases that it was not fitted on.

    \b
    benchmarks run spider-train-holdout --model qwen2.5-coder-0.5b --decoding full
    benchmarks run spider-syn-holdout --model qwen2.5-coder-0.5b --decoding full
    benchmarks calibrate runs/spider-*-holdout--qwen2.5-coder-0.5b--full
    """
    from benchmarks.commands import calibrate_runs

    calibrate_runs(runs, out)


@main.command()
@click.argument("runs", nargs=-1, type=_PATH)
@click.option(
    "--output", "-o", type=_PATH, help="The page (default: report.html in the first run's folder)."
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
    """Write one HTML page about RUNS, and print a Markdown table of them."""
    from benchmarks.commands import report_runs

    report_runs(runs, output, publish, readme, data)


@main.command()
@_model
@click.option("--suite", default="demo", show_default=True, help="Whose questions to ask.")
@click.option(
    "--limit", default=24, show_default=True, type=click.IntRange(2), help="How many questions."
)
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@_threads
@_json
@_data
def profile(**options: Any) -> None:
    """Measure speed and memory, against raw llama.cpp on the same tokens in the same run."""
    from benchmarks.profile import profile_model

    profile_model(**options)


@main.command()
@click.argument("suite", default="spider-train-holdout")
@click.option(
    "--k",
    "ks",
    default="5,10,20",
    show_default=True,
    callback=_whole_numbers,
    help="How many of the best-ranked tables count.",
)
@click.option("--limit", type=click.IntRange(1), help="A random sample of so many questions.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@click.option("--fit", is_flag=True, help="Fit the ranker's weights on SUITE and print them.")
@click.option("--publish", is_flag=True, help="Keep the figures in benchmarks/results/.")
@_data
def linking(**options: Any) -> None:
    """Measure schema linking: recall@k of the needed tables, among all databases merged.

    No model is needed. SUITE may be one of Spider's, any spider-format:DIR, or bird-schemas.

    \b
    benchmarks linking --k 5,10,20
    benchmarks linking bird-schemas --limit 1000
    benchmarks linking spider-train --fit --limit 1000
    """
    from benchmarks.linking import measure_linking

    measure_linking(**options)


if __name__ == "__main__":
    sys.exit(main())
