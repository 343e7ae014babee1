"""Recall of schema linking: whether the tables that a question needs are ranked first.

All databases of a data set are merged into one file of hundreds of tables, which is then
opened as any other (merged_database.py). Measured is recall@k: how many of the tables that the
gold SQL reads are among the k best-ranked (RESDSQL, Li et al. 2023, section 3.2, rank the tables
of one database; here the right database has to be found as well), and how many of the columns
that it names are among the k best of their tables. No model is needed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.merged_database import Merged
from benchmarks.provenance import provenance
from benchmarks.results import RESULTS_FOLDER, percentile, share
from benchmarks.run_folder import write_json
from t2sql_tui.core.database.database import Database
from t2sql_tui.core.prompting.prompt import build_prompt
from t2sql_tui.core.prompting.schema_linking import (
    FIRST_PASS_WEIGHTS,
    SECOND_PASS_WEIGHTS,
    rank_columns,
    rank_tables,
    table_features,
)
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.types import Example, Question, ValueMatch

BYTES_PER_TOKEN = 3.4  # of schema text, with Qwen's tokenizer
CONTEXT = 7_892  # tokens of a prompt, as the app asks: 8,192 less 300 for the answer


def recall_of_suite(suite: str, merged: Merged, ks: Sequence[int]) -> dict[str, Any]:
    """Recall@k on the merged file of `suite`, with where it comes from, as plain JSON."""
    return {
        "suite": suite,
        **provenance(),
        "file_sha256": merged.key,
        "tables": len(merged.database.schema.tables),
        "databases": len({database for database, _ in merged.names}),
        "questions": len(merged.examples),
        "without_tables": merged.unread,
        **recall(merged, ks),
    }


def publish_linking(suite: str, found: dict[str, Any]) -> None:
    """Keeps the figures of `suite` among the published ones."""
    path = RESULTS_FOLDER / "linking.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    write_json(path, {**kept, suite: found})


@dataclass(frozen=True, slots=True)
class _Measured:
    """One question. `tables` are the shares of the needed tables that are among the k best, by k;
    `columns` the same of the named columns in their tables, {} where none is named. `shown` is
    the share of the needed tables that the app would show the model, in `prompt_tokens`. Seconds
    of finding stored values and of ranking."""

    tables: dict[int, float]
    columns: dict[int, float]
    shown: float
    prompt_tokens: int
    finding: float
    ranking: float


def recall(merged: Merged, ks: Sequence[int]) -> dict[str, Any]:
    """For every k the mean share of the needed tables among the k best, and how often all of
    them are (with a 95 % interval clustered by gold SQL); the same for the tables that the
    app would show the model; for every k the mean share of the named columns among the k best
    of their tables, of the questions that name any; milliseconds of finding values and of
    ranking."""
    golds = [example.gold for example in merged.examples]
    found = [_measured(merged, example, ks) for example in _with_bar(merged.examples)]
    hits = {str(k): [m.tables[k] for m in found] for k in ks}
    hits["shown"] = [m.shown for m in found]
    with_columns = [m.columns for m in found if m.columns]
    times = {"values": [m.finding for m in found], "ranking": [m.ranking for m in found]}
    tokens = [m.prompt_tokens for m in found]
    return {
        "recall": {
            name: {
                "mean": round(sum(values) / len(values), 4),
                "all": share([value == 1 for value in values], golds),
            }
            for name, values in hits.items()
        },
        "columns": {
            "questions": len(with_columns),
            **{
                str(k): round(sum(c[k] for c in with_columns) / max(1, len(with_columns)), 4)
                for k in ks
            },
        },
        "milliseconds": {
            name: {"median": percentile(of, 50) * 1000, "p95": percentile(of, 95) * 1000}
            for name, of in times.items()
        },
        "prompt_tokens": {"median": percentile(tokens, 50), "largest": max(tokens)},
    }


def _measured(merged: Merged, example: Example, ks: Sequence[int]) -> _Measured:
    schema, needed = merged.database.schema, merged.needed(example)
    start = time.perf_counter()
    question, values = _question(merged.database, example)
    between = time.perf_counter()
    order = [table.name for table in rank_tables(schema, question, values)]
    end = time.perf_counter()
    named = merged.gold_columns[example.id]
    best = {
        table.name: [column.name.lower() for column in rank_columns(table, question, values)]
        for table in schema.tables
        if table.name in {name for name, _ in named}
    }
    prompt = build_prompt(
        schema, question, values, version="v2", budget=CONTEXT, count_tokens=_tokens
    )
    return _Measured(
        tables={k: len(needed.intersection(order[:k])) / len(needed) for k in ks},
        columns={
            k: sum(column in best[table][:k] for table, column in named) / len(named) for k in ks
        }
        if named
        else {},
        shown=1 - len(needed.intersection(prompt.left_out)) / len(needed),
        prompt_tokens=_tokens(prompt.prefix + prompt.suffix),
        finding=between - start,
        ranking=end - between,
    )


def _question(database: Database, example: Example) -> tuple[Question, tuple[ValueMatch, ...]]:
    return Question(example.question, example.evidence), find_values(database, example.question)


def _tokens(text: str) -> int:
    return round(len(text.encode()) / BYTES_PER_TOKEN)


def _with_bar(examples: Sequence[Example]) -> Iterable[Example]:
    """The examples, with a progress bar on stderr."""
    return track(examples, "questions", console=Console(stderr=True), transient=True)


# --- the weights of the ranker ----------------------------------------------------------


# Of one question: the features of its tables, and which of them are needed.
Case = tuple[list[tuple[float, ...]], list[bool]]


def fitted_weights(merged: Merged) -> dict[str, dict[str, float]]:
    """The ranker's weights, fitted on the questions of `merged`: those of its first pass,
    and those of the second, which knows the ranks of the first."""
    first = fit_weights(_cases(merged))
    again = fit_weights(_cases(merged, first))
    return {
        "first pass": dict(zip(FIRST_PASS_WEIGHTS, first, strict=True)),
        "second pass": dict(zip(SECOND_PASS_WEIGHTS, again, strict=True)),
    }


def _cases(merged: Merged, first: Sequence[float] | None = None) -> list[Case]:
    """Every question as a case; given the weights of the first pass, with the features of the
    second."""
    schema = merged.database.schema
    cases: list[Case] = []
    for example in _with_bar(merged.examples):
        features = table_features(schema, *_question(merged.database, example), first)
        needed = merged.needed(example)
        cases.append((list(features.values()), [schema.tables[t].name in needed for t in features]))
    return cases


def fit_weights(cases: Sequence[Case]) -> list[float]:
    """Weights of a softmax regression: of a question's tables, the needed ones (in equal
    parts) should have the probability."""
    import numpy as np  # 0.1 s, and only the fit needs it

    cases = [(features, needed) for features, needed in cases if any(needed)]
    x = np.concatenate([features for features, _ in cases])
    scale = x.std(0) + 1e-9
    x = x / scale
    wanted = np.concatenate([np.array(needed) / sum(needed) for _, needed in cases])
    sizes = np.array([len(needed) for _, needed in cases])
    starts = np.cumsum(sizes) - sizes
    weights, mean, square = np.zeros((3, x.shape[1]))
    for step in range(1, 301):  # Adam (Kingma and Ba 2015) on all cases at once
        scores = x @ weights
        likely = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        likely /= np.repeat(np.add.reduceat(likely, starts), sizes)
        gradient = x.T @ (likely - wanted) / len(cases) + 1e-4 * weights
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        root = np.sqrt(square / (1 - 0.99**step)) + 1e-8
        weights = weights - 0.1 * mean / (1 - 0.9**step) / root
    return [round(float(weight), 3) for weight in weights / scale]
