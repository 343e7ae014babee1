"""Scoring of predictions that anyone made: Spider's predict.txt, JSONL, or a run's own file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.config import ScoreConfig, slug
from benchmarks.datasets import DataError, Dataset, sample
from benchmarks.progress import Progress
from benchmarks.records import Prediction
from benchmarks.run_folder import (
    PREDICTIONS,
    RUN,
    RunFolder,
    read_lines,
    read_run_info,
    set_aside,
)
from benchmarks.runner import Note, RunOutcome, finish, origin
from benchmarks.scoring import check_libraries, scorer_for
from benchmarks.suites import load_suite
from t2sql_tui.core.sql.extract import extract_sql
from t2sql_tui.core.types import Example


def score_file(config: ScoreConfig, note: Note) -> RunOutcome:
    """Scores a file of predictions and writes them as a run of its own. `note` is called with
    each sentence for the person at the terminal.

    Raises: DataError, DatabaseError.
    """
    check_libraries()
    dataset = load_suite(config.suite, config.folder.data)
    path = config.predictions
    if path.is_dir():
        path = path / PREDICTIONS
    answers = read_predictions(path, dataset.examples, config.partial)
    chosen = sample(dataset.only(e for e in dataset.examples if e.id in answers), None, 0)
    folder = config.folder.runs / (
        config.folder.name or f"{slug(config.suite)}--scored-{_stem(path)}"
    )
    scorer = scorer_for(config.scoring, chosen, dataset, note)
    if folder.exists():
        note(f"The run that was there is now {set_aside(folder)}.")
    identity = _identity(config, path, chosen, of=len(dataset.examples))
    with RunFolder(folder, identity, origin(dataset, scorer)) as opened:
        with Progress(len(chosen.examples), (), note) as progress:
            for example in chosen.examples:
                prediction = {**_blank(example), **answers[example.id]}
                line = scorer.scored(example, cast(Prediction, prediction))
                opened.append(line)
                progress.advance(line)
        return finish(opened, chosen)


def _identity(config: ScoreConfig, path: Path, chosen: Dataset, of: int) -> dict[str, Any]:
    """What the scored run is of; that of the run that made the file stays in it."""
    run_file = path.with_name(RUN)
    made_by = read_run_info(run_file)["identity"] if run_file.exists() else {}
    return {
        **made_by,
        "suite": config.suite,
        "questions": len(chosen.examples),
        "of": of,
        "data_sha256": chosen.sha256(),
        "model": made_by.get("model", f"predictions of {path.name}"),
        **config.scoring.identity(),
    }


def _stem(predictions: Path) -> str:
    return predictions.parent.name if predictions.name == PREDICTIONS else predictions.stem


def _blank(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "database": example.database,
        "question": example.question,
        "gold": example.gold,
        **({"group": example.group} if example.group else {}),
    }


def read_predictions(
    path: Path, examples: Sequence[Example], partial: bool = False
) -> dict[str, Mapping[str, Any]]:
    """Predictions by example id, each with "text" and "sql", from JSONL or Spider's predict.txt.

    Raises: DataError where the file does not answer exactly the examples (with `partial`,
    where it answers one that is not there).
    """
    if not path.exists():
        raise DataError(f"There is no {path}.", "Name a file of predictions, or a run's folder.")
    read = _read_jsonl if path.suffix == ".jsonl" else _read_predict_txt
    answers = read(path, examples)
    if len(answers) != len(examples) and not partial:
        unanswered = next(e.id for e in examples if e.id not in answers)
        raise DataError(
            f"{path} answers {len(answers)} of the suite's {len(examples)} questions; "
            f"'{unanswered}' is the first without one.",
            "Add --partial to score those that are there.",
        )
    return answers


def _read_jsonl(path: Path, examples: Sequence[Example]) -> dict[str, Mapping[str, Any]]:
    answers: dict[str, Mapping[str, Any]] = {}
    for line in read_lines(path):
        text, sql = line.get("text", line.get("sql")), line.get("sql")
        if not isinstance(text, str):
            raise DataError(
                f"The line of '{line['id']}' in {path} has neither 'sql' nor 'text'.",
                'Each line should be like {"id": "dev-0000", "sql": "SELECT ..."}.',
            )
        sql = sql if isinstance(sql, str) else extract_sql(text)
        answers[str(line["id"])] = {**line, "text": text, "sql": sql}
    unknown = answers.keys() - {e.id for e in examples}
    if unknown:
        raise DataError(
            f"{path} answers {len(unknown)} ids that the suite does not have, such as "
            f"'{min(unknown)}'.",
            f"Ids look like '{examples[0].id}'. Is it the right suite?",
        )
    return answers


def _read_predict_txt(path: Path, examples: Sequence[Example]) -> dict[str, Mapping[str, Any]]:
    """One SQL a line in the suite's own order; blank lines at the end do not count."""
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    if len(lines) != len(examples):
        raise DataError(
            f"{path} has {len(lines)} lines, the suite {len(examples)} questions.",
            "predict.txt needs one line a question, in the suite's order (blank for no answer).",
        )
    answers: dict[str, Mapping[str, Any]] = {}
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
