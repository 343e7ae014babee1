"""Runs: ask a model every question of a suite, score as it goes, resume where it stopped.

A run is a folder: `run.json` says what it is and where it comes from, `predictions.jsonl`
holds one line an example, `results.json` the summary. A line is written when its example
is scored, and is on disk (fsync) before the next is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.datasets import DataError, Dataset
from benchmarks.replay import Replay, prompt_digest
from benchmarks.scoring import Scorer
from benchmarks.shown import shown
from t2sql_tui.core.types import (
    AskOptions,
    Backend,
    CheckedQuery,
    Example,
    GenerationSettings,
    ShouldStop,
)

PREDICTIONS = "predictions.jsonl"
RUN = "run.json"
RESULTS = "results.json"

# Scored examples that may wait behind a slow one before generation waits for them.
_BACKLOG = 8


class RunFolder:
    """One run on disk. Use as a context manager: it holds a lock, so that two processes
    cannot write into one run.

    `lines` maps example ids to the lines that are there. `identity` is everything that
    must be equal for two lines to belong to one run; a folder that holds another identity
    is refused.

    Raises: DataError.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], origin: Mapping[str, Any]):
        from filelock import FileLock, Timeout

        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"Another process is writing {folder}.", "Wait for it, or choose another --name."
            ) from None
        try:
            self.info = self._claim(dict(identity), dict(origin))
            self.repaired = repair(folder / PREDICTIONS)
            self.lines = {line["id"]: line for line in read_lines(folder / PREDICTIONS)}
            self._file = (folder / PREDICTIONS).open("a", encoding="utf-8")
        except BaseException:
            self._lock.release()
            raise

    def _claim(self, identity: dict[str, Any], origin: dict[str, Any]) -> dict[str, Any]:
        """What run.json will say once there is a line to say it of."""
        path, predictions = self.folder / RUN, self.folder / PREDICTIONS
        self._claimed = False
        if path.exists():
            info = read_json(path)
            refuse_other_run(path, info.get("identity", {}), identity)
            return {**info, "resumed": [*info.get("resumed", []), origin]}
        if predictions.exists() and predictions.stat().st_size:
            raise DataError(
                f"{self.folder} holds predictions but no {RUN} that says what they are.",
                "Choose another --name, or delete the folder.",
            )
        return {"identity": identity, "provenance": origin}

    def append(self, line: Mapping[str, Any]) -> None:
        if not self._claimed:
            write_json(self.folder / RUN, self.info)
            self._claimed = True
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines[line["id"]] = dict(line)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()


def refuse_other_run(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises DataError when the two identities differ, and says in what."""
    there = json.loads(json.dumps(there))
    here = json.loads(json.dumps(here))
    differ = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    if differ:
        shown = "; ".join(f"{k}: there {there.get(k)!r}, now {here.get(k)!r}" for k in differ)
        raise DataError(
            f"{path} is of another run ({shown}).",
            "Choose another --name, or start over with --restart.",
        )


def repair(path: Path) -> bool:
    """Cuts off a last line that was not written to its end. True if there was one."""
    if not path.exists():
        return False
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return False
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())
    return True


#: Names of features (core.answers.confidence) in lines written before December 2026, and today's.
FORMER_FEATURES = {
    "ignored_share": "unused_share",
    "mended": "rewritten",
    "unsaid": "unmet_phrases",
    **{
        f"sign {kind}": f"warning {kind}"
        for kind in [
            "error",
            "timeout",
            "empty",
            "all-null",
            "cross-product",
            "unused-join",
            "unlinked-join",
            "fan-out",
        ]
    },
}


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a predictions.jsonl, each with an id of its own, their features under
    today's names.

    Raises: DataError.
    """
    if not path.exists():
        return
    seen = set()
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                line = json.loads(text)
                id_ = line["id"]
            except (json.JSONDecodeError, KeyError, TypeError):
                raise DataError(
                    f"Line {number} of {path} is damaged.",
                    "Delete that line to ask its question again.",
                ) from None
            if id_ in seen:
                raise DataError(
                    f"Line {number} of {path} repeats the id '{id_}'.", "Delete one of the two."
                )
            seen.add(id_)
            if "features" in line:
                line["features"] = {
                    FORMER_FEATURES.get(name, name): value
                    for name, value in line["features"].items()
                }
            yield line


def predictions_sha256(folder: Path) -> str:
    """Of what the run in `folder` answered. Raises: DataError where it is no run."""
    try:
        return hashlib.sha256((folder / PREDICTIONS).read_bytes()).hexdigest()
    except OSError:
        raise DataError(
            f"There is no {folder / PREDICTIONS}.", "Is it the folder of a run?"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no {path}.", "Is it the folder of a run?") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is damaged: {error}.", "Choose another --name.") from None


def write_json(path: Path, content: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n", "utf-8")
    part.replace(path)


# --- asking -------------------------------------------------------------------------


def run(
    dataset: Dataset,
    backend: Backend,
    folder: RunFolder,
    scorer: Scorer,
    options: AskOptions,
    *,
    schema: str = "full",
    on_line: Callable[[dict[str, Any]], None] = lambda line: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Asks the examples that `folder` lacks, in the data set's order, and writes their lines.
    `schema` is what the model sees of it, one of SCHEMAS.

    Scoring runs in one thread beside generation: both llama.cpp and SQLite work without
    Python's lock, so a score costs generation next to nothing. When `should_stop` says so,
    the question under way is given up, and all that were answered are scored and written.

    Raises: ModelError, DatabaseError, DataError.
    """
    _refuse_changed_prompts(dataset, backend, folder, options.settings, schema)
    waiting: deque[Future[dict[str, Any]]] = deque()

    def write(until: int) -> None:
        while len(waiting) > until or (waiting and waiting[0].done()):
            line = waiting.popleft().result()
            folder.append(line)
            on_line(folder.lines[line["id"]])

    with ThreadPoolExecutor(1, thread_name_prefix="scorer") as scoring:
        try:
            for example, database in _todo(dataset, folder):
                line = predict(
                    example,
                    database,
                    backend,
                    options,
                    schema=schema,
                    should_stop=should_stop,
                )
                if line is None:
                    break
                waiting.append(scoring.submit(scorer.scored, example, line))
                write(until=_BACKLOG)
        finally:
            write(until=0)


def _todo(dataset: Dataset, folder: RunFolder) -> Iterator[tuple[Example, Any]]:
    """Examples without a line, each with its database open; a database is closed when the
    next one's turn comes."""
    from t2sql_tui.core.database.database import open_database

    database, name = None, None
    try:
        for example in dataset.examples:
            if example.id in folder.lines:
                continue
            if example.database != name:
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
    from t2sql_tui.core.ask import prompt_for
    from t2sql_tui.core.database.database import open_database
    from t2sql_tui.core.prompting.value_matching import find_values
    from t2sql_tui.core.types import Question

    done = next((e for e in dataset.examples if e.id in folder.lines), None)
    if done is None:
        return
    with open_database(dataset.files[done.database][0]) as database:
        question = Question(done.question, done.evidence)
        values = find_values(database, done.question)
        seen = shown(schema, done, database)
        prompt = prompt_for(question, database, backend, values, settings, None, seen)
    if prompt_digest(prompt) != folder.lines[done.id]["prompt"]:
        raise DataError(
            f"The prompt for {done.id} is no longer the one that this run began with.",
            "The program has changed since: choose another --name, or start over with --restart.",
        )


def predict(
    example: Example,
    database: Any,
    backend: Backend,
    options: AskOptions,
    *,
    schema: str = "full",
    should_stop: ShouldStop = lambda: False,
) -> dict[str, Any] | None:
    """One example, asked as the app asks: a line that lacks only its score. None if
    `should_stop` ended it."""
    from t2sql_tui.core.answers.confidence import features
    from t2sql_tui.core.ask import ask
    from t2sql_tui.core.types import Question

    question = Question(example.question, example.evidence)
    started = time.perf_counter()
    answer = ask(
        question,
        database,
        backend,
        options,
        should_stop=should_stop,
        shown=shown(schema, example, database),
    )
    if should_stop():
        return None
    seconds = time.perf_counter() - started
    if isinstance(backend, Replay):
        seconds += sum(g.seconds for g in answer.generations)
    first = answer.generations[0]
    best = answer.candidate
    line = {
        "id": example.id,
        "database": example.database,
        "question": example.question,
        "gold": example.gold,
        "prompt": prompt_digest(first.prompt),
        "text": best.text,
        "sql": best.sql,
        "accepted": isinstance(best.verdict, CheckedQuery),
        "logprob": best.logprob,
        "tokens": best.tokens,
        "confidence": answer.confidence,
        "features": features(answer),
        "seconds": round(seconds, 4),
        "first_token_seconds": round(first.first_token_seconds, 4),
        "generation_seconds": round(sum(g.seconds for g in answer.generations), 4),
        "prompt_tokens": sum(g.prompt_tokens for g in answer.generations),
        "cached_tokens": sum(g.cached_tokens for g in answer.generations),
        "completion_tokens": sum(g.completion_tokens for g in answer.generations),
        "finish": answer.generations[-1].finish,
        "repairs": len(answer.generations) - 1,
    }
    if example.evidence:
        line["evidence"] = example.evidence
    if first.prompt.left_out:
        line["left_out"] = list(first.prompt.left_out)
    if options.settings.candidates > 1:
        line["candidates"] = [
            {
                "sql": c.sql,
                "logprob": c.logprob,
                "tokens": c.tokens,
                "accepted": isinstance(c.verdict, CheckedQuery),
            }
            for c in answer.generations[-1].candidates
        ]
    if answer.readings:
        line["readings"] = [
            {
                "sql": r.candidate.sql,
                "votes": r.votes,
                "share": r.share,
                "warnings": list(r.warnings),
                "unused_words": list(r.unused_words),
                "unmet_phrases": list(r.unmet_phrases),
            }
            for r in answer.readings
        ]
    return line
