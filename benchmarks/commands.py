"""What the commands do; `cli.py` declares them. Here the heavy modules are imported."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from benchmarks.datasets import DataError, Dataset, sample
from benchmarks.decodings import DEFAULT, ask_options, decoding_identity
from benchmarks.provenance import model_sha256, provenance
from benchmarks.replay import Replay
from benchmarks.results import markdown_table, suite_sentence, summarise, summary_tables
from benchmarks.runner import (
    PREDICTIONS,
    RESULTS,
    RUN,
    RunFolder,
    predictions_sha256,
    read_json,
    read_lines,
    refuse_other_run,
    run,
    write_json,
)
from benchmarks.scoring import Scorer, TestSuite, distilled_suite, neighbour_suite
from benchmarks.suites import load_suite
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import AskOptions, Backend, Example, ModelSpec

RESULTS_FOLDER = Path(__file__).parent / "results"


# --- run ----------------------------------------------------------------------------


def run_suite(
    suite: str,
    model: str,
    backend: str,
    limit: int | None,
    seed: int,
    decoding: str,
    candidates: int | None,
    temperature: float | None,
    max_tokens: int | None,
    repairs: int | None,
    prompt_version: str | None,
    schema: str,
    threads: int | None,
    score_candidates: bool,
    keep_distinct: bool,
    neighbours: int,
    suite_databases: Path | None,
    replay: Path | None,
    name: str | None,
    restart: bool,
    runs: Path,
    data: Path | None,
) -> None:
    from dataclasses import replace

    from t2sql_tui.core.models.catalog import find_model

    _check_libraries()
    whole = load_suite(suite, data)
    dataset = sample(whole, limit, seed)
    spec = find_model(model)
    if prompt_version:
        spec = replace(spec, prompt_version=prompt_version)
    options = ask_options(
        decoding,
        max_tokens=max_tokens,
        temperature=temperature,
        candidates=candidates,
        seed=seed,
        repairs=repairs,
    )
    usual = _run_name(suite, spec.name, limit, seed, decoding, options, schema)
    folder = runs / (name or usual + ("--replayed" if replay else ""))
    identity = {
        "suite": suite,
        "questions": len(dataset.examples),
        "of": len(whole.examples),
        "sample_seed": seed if len(dataset.examples) < len(whole.examples) else None,
        "data_sha256": dataset.sha256(),
        "model": spec.name,
        "model_sha256": model_sha256(spec),
        "backend": backend,
        "prompt_version": spec.prompt_version,
        "chat_format": spec.chat_format,
        **decoding_identity(decoding, options),
        **({"schema": schema} if schema != "full" else {}),
        **_scoring_identity(keep_distinct, neighbours, suite_databases, score_candidates),
        **({"replay_of": predictions_sha256(replay)} if replay else {}),
    }
    if replay:
        # the candidates must be those that the model would give now
        keys = (
            "model_sha256",
            "backend",
            "prompt_version",
            "chat_format",
            "schema",
            *decoding_identity(decoding, options),
        )
        refuse_other_run(
            replay / RUN,
            *(
                {key: about.get(key) for key in keys}
                for about in (read_json(replay / RUN).get("identity", {}), identity)
            ),
        )
    if restart and folder.exists():
        _set_aside(folder)
    tests = _test_suite(whole, neighbours, suite_databases)
    scorer = Scorer(
        dataset, keep_distinct=keep_distinct, suite=tests, every_candidate=score_candidates
    )
    with RunFolder(folder, identity, _origin(dataset, tests)) as opened:
        _say_what_is_there(opened, dataset)
        loaded = (
            Replay(spec, read_lines(replay / PREDICTIONS))
            if replay
            else _loaded(spec, backend, threads)
        )
        try:
            with (
                _stopping() as should_stop,
                _Progress(len(dataset.examples), opened.lines.values()) as progress,
            ):
                run(
                    dataset,
                    loaded,
                    opened,
                    scorer,
                    options,
                    schema=schema,
                    on_line=progress.advance,
                    should_stop=should_stop,
                )
        finally:
            loaded.close()
        if len(opened.lines) < len(dataset.examples):
            click.echo(
                f"Stopped after {len(opened.lines)} of {len(dataset.examples)} questions; all of "
                f"them are in {folder}. The same command goes on from there.",
                err=True,
            )
            raise click.exceptions.Exit(130)
        _finish(opened, dataset)


def _loaded(spec: ModelSpec, backend: str, threads: int | None) -> Backend:
    from t2sql_tui.backends import load_backend

    options = {"n_threads": threads, "cache_folder": None} if backend == "gguf" else {}
    return load_backend(spec, backend=backend, **options)


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl+C (or SIGTERM) asks for an orderly end instead of raising somewhere in the middle;
    a second one raises."""
    stopped = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: Any) -> None:
        stopped.set()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_libraries() -> None:
    """The metrics need libraries that the app does not; better said now than after an hour."""
    from importlib.util import find_spec

    missing = [n for n in ("sacrebleu", "rouge_score", "sqlparse") if find_spec(n) is None]
    if missing:
        raise T2SQLError(
            f"The metrics need {', '.join(missing)}.", "Run: pip install 't2sql-tui[bench]'"
        )


def _run_name(
    suite: str,
    model: str,
    limit: int | None,
    seed: int,
    decoding: str,
    options: AskOptions,
    schema: str,
) -> str:
    plain = ask_options(decoding)
    parts = [_slug(suite), Path(model).name.removesuffix(".gguf")]
    parts += [f"n{limit}-s{seed}"] if limit else []
    parts += [decoding] if decoding != DEFAULT else []
    parts += [f"{schema}-schema"] if schema != "full" else []
    for letter, number, usual in (
        ("k", options.settings.candidates, plain.settings.candidates),
        ("t", options.settings.temperature, plain.settings.temperature),
        ("r", options.repairs, plain.repairs),
    ):
        parts += [f"{letter}{number:g}"] if number != usual else []
    return "--".join(parts)


def _slug(suite: str) -> str:
    return re.sub(r"[^\w.]+", "-", suite).strip("-")


def _set_aside(folder: Path) -> None:
    """Nothing that took hours is deleted: --restart renames the old run."""
    old = folder.with_name(f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    folder.rename(old)
    click.echo(f"The run that was there is now {old}.", err=True)


def _origin(dataset: Dataset, tests: TestSuite | None) -> dict[str, Any]:
    origin = provenance()
    if dataset.notes:
        origin["notes"] = list(dataset.notes)
    if tests:
        origin["test_suite"] = dict(tests.facts)
    return origin


def _scoring_identity(
    keep_distinct: bool, neighbours: int, suite_databases: Path | None, score_candidates: bool
) -> dict[str, Any]:
    identity = {
        "keep_distinct": keep_distinct,
        "neighbours": neighbours,
        "suite_databases": str(suite_databases) if suite_databases else None,
    }
    # Only where it is set, so that runs from before it can be gone on with.
    return {**identity, "score_candidates": True} if score_candidates else identity


def _test_suite(whole: Dataset, neighbours: int, suite_databases: Path | None) -> TestSuite | None:
    if neighbours and suite_databases:
        raise DataError("--neighbours and --suite-databases are two test suites.", "Choose one.")
    if suite_databases:
        return distilled_suite(whole, suite_databases)
    if neighbours:
        say = lambda name: click.echo(f"Neighbours of {name} ...", err=True)  # noqa: E731
        return neighbour_suite(whole, neighbours, say)
    return None


def _say_what_is_there(folder: RunFolder, dataset: Dataset) -> None:
    if folder.repaired:
        click.echo("The last line was not written to its end; it was cut off.", err=True)
    strangers = folder.lines.keys() - {e.id for e in dataset.examples}
    if strangers:
        raise DataError(
            f"{folder.folder} holds {len(strangers)} ids that are not in the suite, such as "
            f"'{min(strangers)}'.",
            "Choose another --name, or start over with --restart.",
        )
    if folder.lines:
        click.echo(f"{len(folder.lines)} of {len(dataset.examples)} are done already.", err=True)
    for note in dataset.notes:
        click.echo(f"Note: {note}.", err=True)


def _finish(folder: RunFolder, dataset: Dataset) -> None:
    """Writes results.json and prints the summary."""
    lines = [folder.lines[e.id] for e in dataset.examples if e.id in folder.lines]
    results = summarise(lines, folder.info)
    write_json(folder.folder / RESULTS, results)
    for title, rows, headers in summary_tables(results):
        click.echo(f"\n{title}")
        click.echo(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
    if sentence := suite_sentence(results):
        click.echo(f"\n{sentence}")
    failing = results["gold_fails"]
    if failing:
        click.echo(
            f"\nThe gold SQL of {len(failing)} questions fails; they count as wrong: "
            f"{', '.join(failing[:20])}{', ...' if len(failing) > 20 else ''}",
        )
    click.echo(f"\nAll of it is in {folder.folder}; next:", err=True)
    click.echo(f"  benchmarks report {folder.folder}", err=True)


class _Progress:
    """A bar with running accuracy and time left on a terminal; elsewhere a line now and then."""

    EVERY = 30.0  # seconds between lines where there is no terminal

    def __init__(self, total: int, done: Any) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.total, self.done, self.right, self.asked = total, 0, 0, 0
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[right]}"),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._quiet = not console.is_terminal
        self._task = self._bar.add_task("", total=total, right="", pace="")
        for line in done:
            self._count(line)
        self._started = self._said = time.monotonic()

    def _count(self, line: Mapping[str, Any]) -> None:
        self.done += 1
        self.right += bool(line["score"]["correct"])

    def advance(self, line: Mapping[str, Any]) -> None:
        self._count(line)
        self.asked += 1
        now = time.monotonic()
        pace = (now - self._started) / self.asked
        right = f"{100 * self.right / self.done:.1f} % right"
        if not self._quiet:
            self._bar.update(
                self._task,
                completed=self.done,
                description=line["database"],
                right=right,
                pace=f"{pace:.2f} s each",
            )
        elif now - self._said > self.EVERY or self.done == self.total:
            self._said = now
            left = pace * (self.total - self.done)
            click.echo(
                f"{self.done}/{self.total}  {right}  {pace:.2f} s each  {left / 60:.0f} min left",
                err=True,
            )

    def __enter__(self) -> _Progress:
        if not self._quiet:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


# --- score --------------------------------------------------------------------------


def score_file(
    predictions: Path,
    suite: str,
    score_candidates: bool,
    keep_distinct: bool,
    neighbours: int,
    suite_databases: Path | None,
    partial: bool,
    name: str | None,
    runs: Path,
    data: Path | None,
) -> None:
    _check_libraries()
    dataset = load_suite(suite, data)
    if predictions.is_dir():
        predictions = predictions / PREDICTIONS
    answers = read_predictions(predictions, dataset.examples, partial)
    chosen = sample(dataset.only(e for e in dataset.examples if e.id in answers), None, 0)
    folder = runs / (name or f"{_slug(suite)}--scored-{_stem(predictions)}")
    run_file = predictions.with_name(RUN)
    made_by = read_json(run_file)["identity"] if run_file.exists() else {}
    identity = {
        **made_by,
        "suite": suite,
        "questions": len(chosen.examples),
        "of": len(dataset.examples),
        "data_sha256": chosen.sha256(),
        "model": made_by.get("model", f"predictions of {predictions.name}"),
        **_scoring_identity(keep_distinct, neighbours, suite_databases, score_candidates),
    }
    tests = _test_suite(dataset, neighbours, suite_databases)
    scorer = Scorer(
        chosen, keep_distinct=keep_distinct, suite=tests, every_candidate=score_candidates
    )
    if folder.exists():
        _set_aside(folder)
    with RunFolder(folder, identity, _origin(dataset, tests)) as opened:
        with _Progress(len(chosen.examples), ()) as progress:
            for example in chosen.examples:
                line = {**_blank_line(example), **answers[example.id]}
                line = scorer.scored(example, line)
                opened.append(line)
                progress.advance(line)
        _finish(opened, chosen)


def _stem(predictions: Path) -> str:
    return predictions.parent.name if predictions.name == PREDICTIONS else predictions.stem


def _blank_line(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "database": example.database,
        "question": example.question,
        "gold": example.gold,
    }


def read_predictions(
    path: Path, examples: Sequence[Example], partial: bool = False
) -> dict[str, dict[str, Any]]:
    """Lines by example id, each with "text" and "sql", from JSONL or Spider's predict.txt.

    Raises: DataError where the file does not answer exactly the examples (with `partial`,
    where it answers one that is not there).
    """
    from t2sql_tui.core.sql.extract import extract_sql

    if not path.exists():
        raise DataError(f"There is no {path}.", "Name a file of predictions, or a run's folder.")
    if path.suffix == ".jsonl":
        answers = {}
        for line in read_lines(path):
            text = line.get("text", line.get("sql"))
            if not isinstance(text, str):
                raise DataError(
                    f"The line of '{line['id']}' in {path} has neither 'sql' nor 'text'.",
                    'Each line should be like {"id": "dev-0000", "sql": "SELECT ..."}.',
                )
            sql = line["sql"] if isinstance(line.get("sql"), str) else extract_sql(text)
            answers[str(line["id"])] = {**line, "text": text, "sql": sql}
        strangers = answers.keys() - {e.id for e in examples}
        if strangers:
            raise DataError(
                f"{path} answers {len(strangers)} ids that the suite does not have, such as "
                f"'{min(strangers)}'.",
                f"Ids look like '{examples[0].id}'. Is it the right suite?",
            )
    else:
        answers = _read_predict_txt(path, examples)
    if len(answers) != len(examples) and not partial:
        unanswered = next(e.id for e in examples if e.id not in answers)
        raise DataError(
            f"{path} answers {len(answers)} of the suite's {len(examples)} questions; "
            f"'{unanswered}' is the first without one.",
            "Add --partial to score those that are there.",
        )
    return answers


def _read_predict_txt(path: Path, examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """One SQL a line in the suite's own order; blank lines at the end do not count."""
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    if len(lines) != len(examples):
        raise DataError(
            f"{path} has {len(lines)} lines, the suite {len(examples)} questions.",
            "predict.txt needs one line a question, in the suite's order (blank for no answer).",
        )
    answers = {}
    for number, (line, example) in enumerate(zip(lines, examples, strict=True), start=1):
        sql, _, database = line.partition("\t")
        if database.strip() and database.strip() != example.database:
            raise DataError(
                f"Line {number} of {path} is for '{database.strip()}', but question {number} of "
                f"the suite is on '{example.database}'.",
                "The lines are not in the suite's order.",
            )
        answers[example.id] = {"text": sql.strip(), "sql": sql.strip()}
    return answers


# --- compare, calibrate and report -------------------------------------------------------------


def compare_runs(a: Path, b: Path, changed: int, as_json: bool) -> None:
    from benchmarks.compare import comparison, comparison_text

    found = comparison(load_run(a), load_run(b))
    click.echo(json.dumps(found, indent=1) if as_json else comparison_text(found, changed))


def ablate_runs(runs: Sequence[Path], out: Path | None) -> None:
    from benchmarks.compare import ablation, ablation_text

    found = ablation([load_run(path) for path in runs])
    text = ablation_text(found)
    click.echo(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".md").write_text(text + "\n", "utf-8")
        write_json(out.with_suffix(".json"), found)


def calibrate_runs(runs: Sequence[Path], out: Path | None) -> None:
    from benchmarks.calibrate import calibrated, calibration_text
    from t2sql_tui.core.answers.confidence import confidence_file
    from t2sql_tui.core.models.catalog import load_catalog

    fitted = calibrated([load_run(path) for path in runs])
    click.echo(calibration_text(fitted))
    name = fitted["fitted_on"]["model"]
    if out is None and name not in load_catalog():
        raise DataError(f"There is no folder models/{name}.", "Say where to write it: --out FILE.")
    out = out or confidence_file(name)
    write_json(out, {**fitted, "provenance": provenance()})
    click.echo(str(out), err=True)


def load_run(folder: Path) -> dict[str, Any]:
    """run.json, results.json and the lines of a run.

    Raises: DataError.
    """
    if folder.name == PREDICTIONS:
        folder = folder.parent
    info = read_json(folder / RUN)
    lines = list(read_lines(folder / PREDICTIONS))
    if not lines:
        raise DataError(f"{folder} holds no predictions.", "Has the run begun?")
    return {"folder": folder, "name": folder.name, "info": info, "lines": lines}


def report_runs(
    runs: Sequence[Path], output: Path | None, publish: bool, readme: bool, data: Path | None
) -> None:
    from benchmarks.report import run_names, write_report
    from benchmarks.results import markdown_calibration, published, write_readme_table

    if not runs and not readme:
        raise click.UsageError("Name one run or more, or --readme.")
    if runs:
        loaded = [load_run(path) for path in runs]
        for each in loaded:
            each["results"] = summarise(each["lines"], each["info"])
        output = output or loaded[0]["folder"] / "report.html"
        write_report(loaded, output, data)
        found = [each["results"] for each in loaded]
        click.echo(markdown_table(found))
        if table := markdown_calibration(found, run_names(loaded)):
            click.echo(f"\n{table}")
        click.echo(str(output), err=True)
        if publish:
            for each in loaded:
                RESULTS_FOLDER.mkdir(exist_ok=True)
                write_json(RESULTS_FOLDER / f"{each['name']}.json", each["results"])
                click.echo(str(RESULTS_FOLDER / f"{each['name']}.json"), err=True)
    if readme:
        target = Path(__file__).parent.parent / "README.md"
        write_readme_table(target, published(RESULTS_FOLDER))
        click.echo(str(target), err=True)
