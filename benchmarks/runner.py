"""Runs: ask a model every question of a suite, score as it goes, resume where it stopped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.config import RunConfig
from benchmarks.datasets import DataError, Dataset, sample
from benchmarks.progress import Progress, stopping
from benchmarks.provenance import model_sha256, provenance
from benchmarks.records import CandidateRecord, Line, Prediction, ReadingRecord
from benchmarks.replay import Replay, prompt_digest
from benchmarks.results import summarise
from benchmarks.run_folder import (
    PREDICTIONS,
    RESULTS,
    RUN,
    RunFolder,
    predictions_sha256,
    read_lines,
    read_run_info,
    refuse_other_run,
    set_aside,
    write_json,
)
from benchmarks.schema_subset import schema_subset
from benchmarks.scoring import Scorer, check_libraries, scorer_for
from benchmarks.suites import load_suite
from t2sql_tui.backends import load_backend
from t2sql_tui.core.answers.confidence import features
from t2sql_tui.core.ask import ask, prompt_for
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.types import (
    Answer,
    AskOptions,
    Backend,
    Candidate,
    CheckedQuery,
    Example,
    GenerationSettings,
    ModelSpec,
    Question,
    Reading,
    ShouldStop,
)

Note = Callable[[str], None]

# Scored examples that may wait behind a slow one before generation waits for them.
_BACKLOG = 8


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A run after a command has written into it. `results` are None unless all its `questions`
    are answered."""

    folder: Path
    questions: int
    answered: int
    results: dict[str, Any] | None


def run_suite(config: RunConfig, note: Note) -> RunOutcome:
    """Asks and scores what the run does not hold yet. `note` is called with each sentence for the
    person at the terminal. Ctrl+C ends it in order: all that is answered is written.

    Raises: DataError, ModelError, DatabaseError.
    """
    check_libraries()
    whole = load_suite(config.suite, config.folder.data)
    dataset = sample(whole, config.limit, config.seed)
    spec = find_model(config.model)
    if config.prompt_version:
        spec = replace(spec, prompt_version=config.prompt_version)
    identity = _identity(config, spec, dataset, of=len(whole.examples))
    folder = config.folder.runs / config.run_name(spec.name)
    if config.restart and folder.exists():
        note(f"The run that was there is now {set_aside(folder)}.")
    scorer = scorer_for(config.scoring, dataset, whole, note)
    with RunFolder(folder, identity, origin(dataset, scorer)) as opened:
        _announce(opened, dataset, note)
        backend = _backend(config, spec)
        try:
            with (
                stopping() as should_stop,
                Progress(len(dataset.examples), opened.lines.values(), note) as progress,
            ):
                ask_all(
                    dataset,
                    backend,
                    opened,
                    scorer,
                    config.ask_options(),
                    schema=config.schema,
                    on_line=progress.advance,
                    should_stop=should_stop,
                )
        finally:
            backend.close()
        return finish(opened, dataset)


def _identity(config: RunConfig, spec: ModelSpec, dataset: Dataset, of: int) -> dict[str, Any]:
    """The identity of the run that `config` describes, of `dataset` drawn from `of` questions.

    Raises: DataError where the run that is to be replayed is of another model, prompt or
    decoding, so that the model would not give the same candidates now.
    """
    weights = model_sha256(spec)
    model = config.model_identity(spec, weights)
    identity = {
        "questions": len(dataset.examples),
        "of": of,
        "sample_seed": config.seed if len(dataset.examples) < of else None,
        "data_sha256": dataset.sha256(),
        "model": spec.name,
        "model_sha256": weights,
        "prompt_version": spec.prompt_version,
        "chat_format": spec.chat_format,
        **config.identity(),
    }
    if config.replay:
        recorded = read_run_info(config.replay / RUN).get("identity", {})
        refuse_other_run(config.replay / RUN, {key: recorded.get(key) for key in model}, model)
        identity["replay_of"] = predictions_sha256(config.replay)
    return identity


def origin(dataset: Dataset, scorer: Scorer) -> dict[str, Any]:
    """The provenance of a run: of this process, and what a reader must know of the data."""
    found = provenance()
    if dataset.notes:
        found["notes"] = list(dataset.notes)
    if scorer.suite:
        found["test_suite"] = dict(scorer.suite.facts)
    return found


def _announce(folder: RunFolder, dataset: Dataset, note: Note) -> None:
    """Says what the run holds already. Raises: DataError where it is not of this suite."""
    if folder.repaired:
        note("The last line was not written to its end and was removed.")
    unknown = folder.lines.keys() - {e.id for e in dataset.examples}
    if unknown:
        raise DataError(
            f"{folder.folder} holds {len(unknown)} ids that are not in the suite, such as "
            f"'{min(unknown)}'.",
            "Choose another --name, or start over with --restart.",
        )
    if folder.lines:
        note(f"{len(folder.lines)} of {len(dataset.examples)} are done already.")
    for text in dataset.notes:
        note(f"Note: {text}.")


def _backend(config: RunConfig, spec: ModelSpec) -> Backend:
    if config.replay:
        return Replay(spec, read_lines(config.replay / PREDICTIONS))
    options = dict(config.backend_options)
    if config.backend == "gguf":
        # No prefixes from disk: what an earlier run left there would spoil the times.
        options["cache_folder"] = None
    return load_backend(spec, backend=config.backend, **options)


def finish(folder: RunFolder, dataset: Dataset) -> RunOutcome:
    """Summarises a run that is complete, and writes its results.json."""
    lines = [folder.lines[e.id] for e in dataset.examples if e.id in folder.lines]
    results = None
    if len(lines) == len(dataset.examples):
        results = summarise(lines, folder.info)
        write_json(folder.folder / RESULTS, results)
    return RunOutcome(folder.folder, len(dataset.examples), len(lines), results)


# --- asking -------------------------------------------------------------------------


def ask_all(
    dataset: Dataset,
    backend: Backend,
    folder: RunFolder,
    scorer: Scorer,
    options: AskOptions,
    *,
    schema: str = "full",
    on_line: Callable[[Line], None] = lambda line: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Asks the examples that `folder` lacks, in the data set's order, and writes their lines.
    `schema` says how much of the schema the model sees, one of SCHEMA_SUBSETS.

    Scoring runs in one thread beside generation: both llama.cpp and SQLite work without
    Python's lock, so a score costs generation next to nothing. When `should_stop` says so,
    the question under way is given up, and all that were answered are scored and written.

    Raises: ModelError, DatabaseError, DataError.
    """
    _refuse_changed_prompts(dataset, backend, folder, options.settings, schema)
    waiting: deque[Future[Line]] = deque()

    def write(until: int) -> None:
        while len(waiting) > until or (waiting and waiting[0].done()):
            line = waiting.popleft().result()
            folder.append(line)
            on_line(line)

    with ThreadPoolExecutor(1, thread_name_prefix="scorer") as scoring:
        try:
            for example, database in _unanswered(dataset, folder.lines):
                prediction = predict(
                    example, database, backend, options, schema=schema, should_stop=should_stop
                )
                if prediction is None:
                    break
                waiting.append(scoring.submit(scorer.scored, example, prediction))
                write(until=_BACKLOG)
        finally:
            write(until=0)


def _unanswered(dataset: Dataset, lines: Mapping[str, Line]) -> Iterator[tuple[Example, Database]]:
    """Examples without a line, each with its database open; a database is closed when the
    next one's turn comes."""
    database, name = None, None
    try:
        for example in dataset.examples:
            if example.id in lines:
                continue
            if database is None or example.database != name:
                if database is not None:
                    database.close()
                database, name = open_database(dataset.files[example.database][0]), example.database
            yield example, database
    finally:
        if database is not None:
            database.close()


def _refuse_changed_prompts(
    dataset: Dataset,
    backend: Backend,
    folder: RunFolder,
    settings: GenerationSettings,
    schema: str,
) -> None:
    """A run goes on only with prompts that are byte for byte those it began with: the first
    finished example's prompt is made again and compared. A version's name alone would not
    notice a change in schema reading or value matching."""
    done = next((e for e in dataset.examples if e.id in folder.lines), None)
    if done is None:
        return
    with open_database(dataset.files[done.database][0]) as database:
        question = Question(done.question, done.evidence)
        values = find_values(database, done.question)
        shown = schema_subset(schema, done, database)
        prompt = prompt_for(question, database, backend, values, settings, None, shown)
    if prompt_digest(prompt) != folder.lines[done.id].get("prompt_digest"):
        raise DataError(
            f"The prompt for {done.id} is no longer the one that this run began with.",
            "The program has changed since: choose another --name, or start over with --restart.",
        )


def predict(
    example: Example,
    database: Database,
    backend: Backend,
    options: AskOptions,
    *,
    schema: str = "full",
    should_stop: ShouldStop = lambda: False,
) -> Prediction | None:
    """The answer to one example, asked as the app asks; None if `should_stop` ended it."""
    started = time.perf_counter()
    answer = ask(
        Question(example.question, example.evidence),
        database,
        backend,
        options,
        should_stop=should_stop,
        shown=schema_subset(schema, example, database),
    )
    if should_stop():
        return None
    seconds = time.perf_counter() - started
    if isinstance(backend, Replay):
        seconds += sum(g.seconds for g in answer.generations)
    prediction = _prediction(example, answer, seconds)
    if options.settings.candidates > 1:
        prediction["candidates"] = [_candidate(c) for c in answer.generations[-1].candidates]
    if answer.readings:
        prediction["readings"] = [_reading(reading) for reading in answer.readings]
    return prediction


def _prediction(example: Example, answer: Answer, seconds: float) -> Prediction:
    first, best, generations = answer.generations[0], answer.candidate, answer.generations
    prediction: Prediction = {
        "id": example.id,
        "database": example.database,
        "question": example.question,
        "gold": example.gold,
        "prompt_digest": prompt_digest(first.prompt),
        "text": best.text,
        "sql": best.sql,
        "accepted": isinstance(best.verdict, CheckedQuery),
        "logprob": best.logprob,
        "tokens": best.tokens,
        "confidence": answer.confidence,
        "features": features(answer),
        "seconds": round(seconds, 4),
        "first_token_seconds": round(first.first_token_seconds, 4),
        "generation_seconds": round(sum(g.seconds for g in generations), 4),
        "prompt_tokens": sum(g.prompt_tokens for g in generations),
        "cached_tokens": sum(g.cached_tokens for g in generations),
        "completion_tokens": sum(g.completion_tokens for g in generations),
        "finish": generations[-1].finish,
        "repairs": len(generations) - 1,
    }
    if example.evidence:
        prediction["evidence"] = example.evidence
    if example.group:
        prediction["group"] = example.group
    if first.prompt.left_out:
        prediction["left_out"] = list(first.prompt.left_out)
    return prediction


def _candidate(candidate: Candidate) -> CandidateRecord:
    return {
        "sql": candidate.sql,
        "logprob": candidate.logprob,
        "tokens": candidate.tokens,
        "accepted": isinstance(candidate.verdict, CheckedQuery),
    }


def _reading(reading: Reading) -> ReadingRecord:
    return {
        "sql": reading.candidate.sql,
        "votes": reading.votes,
        "share": reading.share,
        "warnings": list(reading.warnings),
        "unused_words": list(reading.unused_words),
        "unmet_phrases": list(reading.unmet_phrases),
    }
