"""Schema linking: of many tables, are those that a question needs ranked first?

All databases of a data set are merged into one file of hundreds of tables, which is then
opened as any other. Measured is recall@k: how many of the tables that the gold SQL reads are
among the k best-ranked (RESDSQL, Li et al. 2023, section 3.2, rank the tables of one
database; here the right database has to be found as well), and how many of the columns that it
names are among the k best of their tables. No model is needed.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.datasets import DataError, Dataset, read_list, sample
from benchmarks.provenance import provenance
from benchmarks.results import percentile, share
from benchmarks.suites import cache_folder, data_folder, load_suite
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.prompting.prompt import build_prompt
from t2sql_tui.core.prompting.schema_linking import (
    FIRST_PASS_WEIGHTS,
    SECOND_PASS_WEIGHTS,
    rank_columns,
    rank_tables,
    table_features,
)
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.types import Column, Example, ForeignKey, Question, Table, ValueMatch

BIRD = "bird-schemas"  # questions and tables.json alone: BIRD's databases are 33 GB
BYTES_A_TOKEN = 3.4  # of schema text, with Qwen's tokenizer
CONTEXT = 7_892  # tokens of a prompt, as the app asks: 8,192 less 300 for the answer


# --- the command ----------------------------------------------------------------------


def measure_linking(
    suite: str,
    ks: Sequence[int],
    limit: int | None,
    seed: int,
    fit: bool,
    publish: bool,
    data: Path | None,
) -> None:
    """Prints recall@k of a suite on its merged file, or with `fit` the weights."""
    merged = load_merged(suite, limit, seed, data)
    if fit:
        first = fit_weights(_cases(merged))
        again = fit_weights(_cases(merged, first))
        found = {
            "first pass": dict(zip(FIRST_PASS_WEIGHTS, first, strict=True)),
            "second pass": dict(zip(SECOND_PASS_WEIGHTS, again, strict=True)),
        }
        click.echo(json.dumps(found, indent=4))
        return
    found = {
        "suite": suite,
        **provenance(),
        "file_sha256": merged.key,
        "tables": len(merged.database.schema.tables),
        "databases": len({database for database, _ in merged.names}),
        "questions": len(merged.examples),
        "without_tables": merged.unread,
        **recall(merged, ks),
    }
    click.echo(json.dumps(found, indent=1))
    if publish:
        path = Path(__file__).parent / "results" / "linking.json"
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**kept, suite: found}, indent=1) + "\n", "utf-8")


def recall(merged: Merged, ks: Sequence[int]) -> dict[str, Any]:
    """For every k the mean share of the needed tables among the k best, and how often all of
    them are (with a 95 % interval clustered by gold SQL); the same for the tables that the
    app would show the model; for every k the mean share of the named columns among the k best
    of their tables, of the questions that name any; milliseconds of finding values and of
    ranking."""
    schema = merged.database.schema
    hits: dict[str, list[float]] = {name: [] for name in [*map(str, ks), "shown"]}
    columns: dict[str, list[float]] = {str(k): [] for k in ks}
    ranking, finding, shown = [], [], []
    for example in _progress(merged.examples):
        needed = merged.needed(example)
        start = time.perf_counter()
        question, values = _asked(merged.database, example)
        between = time.perf_counter()
        order = [table.name for table in rank_tables(schema, question, values)]
        ranking.append(time.perf_counter() - between)
        finding.append(between - start)
        for k in ks:
            hits[str(k)].append(len(needed.intersection(order[:k])) / len(needed))
        if named := merged.gold_columns[example.id]:
            best = {
                table: [c.name.lower() for c in rank_columns(schema.table(table), question, values)]
                for table, _ in named
            }
            for k in ks:
                inside = sum(column in best[table][:k] for table, column in named)
                columns[str(k)].append(inside / len(named))
        prompt = build_prompt(
            schema, question, values, version="v2", budget=CONTEXT, count_tokens=_tokens
        )
        hits["shown"].append(1 - len(needed.intersection(prompt.left_out)) / len(needed))
        shown.append(_tokens(prompt.prefix + prompt.suffix))
    golds = [example.gold for example in merged.examples]
    return {
        "recall": {
            name: {
                "mean": round(sum(values) / len(values), 4),
                "all": share([value == 1 for value in values], golds),
            }
            for name, values in hits.items()
        },
        "columns": {
            "questions": len(columns[str(ks[0])]),
            **{k: round(sum(found) / max(1, len(found)), 4) for k, found in columns.items()},
        },
        "milliseconds": {
            name: {"median": percentile(times, 50) * 1000, "p95": percentile(times, 95) * 1000}
            for name, times in (("values", finding), ("ranking", ranking))
        },
        "prompt_tokens": {"median": percentile(shown, 50), "largest": max(shown)},
    }


def _asked(database: Database, example: Example) -> tuple[Question, tuple[ValueMatch, ...]]:
    return Question(example.question, example.evidence), find_values(database, example.question)


def _tokens(text: str) -> int:
    return round(len(text.encode()) / BYTES_A_TOKEN)


def _progress(examples: Sequence[Example]):
    from rich.console import Console
    from rich.progress import track

    return track(examples, "asking", console=Console(stderr=True), transient=True)


Case = tuple[list[tuple[float, ...]], list[bool]]


def _cases(merged: Merged, first: Sequence[float] | None = None) -> list[Case]:
    """Of every question the features of its tables, and whether they are needed; given the
    weights of the first pass, the features of the second."""
    schema, cases = merged.database.schema, []
    for example in _progress(merged.examples):
        features = table_features(schema, *_asked(merged.database, example), first)
        needed = merged.needed(example)
        cases.append((list(features.values()), [schema.tables[t].name in needed for t in features]))
    return cases


def fit_weights(cases: Sequence[Case]) -> list[float]:
    """Weights of a softmax regression: of a question's tables, the needed ones (in equal
    parts) should have the probability."""
    import numpy as np

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


# --- one file of many -----------------------------------------------------------------

# Names in the merged file, by database and lower-case name in it.
Names = Mapping[tuple[str, str], str]


def merged_names(databases: Mapping[str, tuple[Table, ...]]) -> Names:
    """A table keeps its name where no other database has it, else the database's name goes
    before it: `customers` of `shop_1` becomes `shop_1_customers`. Nothing else tells which
    tables came from one database."""
    count = Counter(table.name.lower() for tables in databases.values() for table in tables)
    taken = {name for name, times in count.items() if times == 1}
    names = {}
    for database, tables in databases.items():
        for table in tables:
            name = table.name
            if count[name.lower()] > 1:
                name = f"{database}_{name}"
                while name.lower() in taken:  # `people` of `debate` beside a `debate_people`
                    name = f"{database}_{name}"
                taken.add(name.lower())
            names[database, table.name.lower()] = name
    return names


@dataclass(frozen=True, slots=True)
class Merged:
    """`gold_columns` are (table, lower-case column) that the gold SQL names, by question.
    `key` is a SHA-256 over what went into the file, `unread` counts questions whose gold
    SQL sqlglot cannot read or that read no table; they are left out."""

    database: Database
    names: Names
    examples: tuple[Example, ...]
    gold_tables: Mapping[str, frozenset[str]]
    gold_columns: Mapping[str, frozenset[tuple[str, str]]]
    key: str
    unread: int

    def needed(self, example: Example) -> frozenset[str]:
        """The tables that the gold SQL reads, as the merged file calls them."""
        return self.gold_tables[example.id]


def load_merged(suite: str, limit: int | None, seed: int, data: Path | None) -> Merged:
    """The merged file of a suite's data set, from the cache or built now.

    Raises: DataError.
    """
    if suite == BIRD:
        root = data_folder(data) / "bird"
        databases = {e["db_id"]: tables_of_entry(e) for e in read_list(root / "tables.json")}
        files: dict[str, Path] = {}
        examples = tuple(
            Example(
                f"train-{at:04d}",
                row["db_id"],
                row["question"],
                row["SQL"],
                evidence=row.get("evidence") or "",
            )
            for at, row in enumerate(read_list(root / "train.json"))
        )
        examples = sample(Dataset(examples, {}), limit, seed).examples
    else:
        dataset = sample(load_suite(suite, data), limit, seed)
        examples = dataset.examples
        # Not the suite's databases alone: all that lie beside them.
        folder = dataset.files[examples[0].database][0].parents[1]
        found = sorted(folder.glob("*/*.sqlite"))
        files = {path.stem: path for path in found if path.stem == path.parent.name}
        databases = {database: tables_of_file(path) for database, path in files.items()}
    names = merged_names(databases)
    key = _key_of(databases, files)
    path = cache_folder() / "linking" / f"{key[:24]}.sqlite"
    if not path.exists():
        merge(databases, files, path)
    gold_tables, gold_columns = {}, {}
    for example in examples:
        columns = {
            table.name.lower(): {column.name.lower() for column in table.columns}
            for table in databases[example.database]
        }
        read = columns_read(example.gold, columns)
        gold_tables[example.id] = frozenset(names[example.database, table] for table in read)
        gold_columns[example.id] = frozenset(
            (names[example.database, table], column) for table in read for column in read[table]
        )
    readable = tuple(example for example in examples if gold_tables[example.id])
    if not readable:
        raise DataError(f"No question of {suite} reads a table.", "Choose another suite.")
    unread = len(examples) - len(readable)
    return Merged(open_database(path), names, readable, gold_tables, gold_columns, key, unread)


def _key_of(databases: Mapping[str, tuple[Table, ...]], files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256(repr(sorted(databases.items())).encode())
    for _, path in sorted(files.items()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def columns_read(sql: str, columns: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """Of the tables in `columns`, those that a SQL reads, with the columns of each that it
    names: those with the table before them, and others in every table that has one so called.
    All in lower case; nothing where sqlglot cannot read it."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except SqlglotError:
        return {}
    tables = [(t.name.lower(), t.alias_or_name.lower()) for t in tree.find_all(exp.Table)]
    read: dict[str, set[str]] = {name: set() for name, _ in tables if name in columns}
    for column in tree.find_all(exp.Column):
        name, owner = column.name.lower(), column.table.lower()
        for table, alias in tables:
            if name in columns.get(table, ()) and owner in ("", alias):
                read[table].add(name)
    return read


def merge(
    databases: Mapping[str, tuple[Table, ...]], files: Mapping[str, Path], target: Path
) -> None:
    """Writes one SQLite file with the tables, declared keys and rows of all `databases`;
    those without a file have no rows."""
    names = merged_names(databases)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    connection = sqlite3.connect(part, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = OFF")
    for database, tables in databases.items():
        if database in files:
            connection.execute("ATTACH ? AS source", (str(files[database]),))
        connection.execute("BEGIN")
        for table in tables:
            connection.execute(_create(database, table, names))
            if database in files:
                columns = ", ".join(quoted(column.name) for column in table.columns)
                connection.execute(
                    f"INSERT INTO main.{quoted(names[database, table.name.lower()])} ({columns}) "
                    f"SELECT {columns} FROM source.{quoted(table.name)}"
                )
        connection.execute("COMMIT")
        if database in files:
            connection.execute("DETACH source")
    connection.close()
    part.rename(target)


def _create(database: str, table: Table, names: Names) -> str:
    parts = [f"{quoted(column.name)} {column.type}" for column in table.columns]
    key = sorted((c for c in table.columns if c.primary_key), key=lambda c: c.primary_key)
    if key:
        parts.append(f"PRIMARY KEY ({', '.join(quoted(column.name) for column in key)})")
    for link in table.foreign_keys:
        if not link.inferred:
            parts.append(
                f"FOREIGN KEY ({', '.join(map(quoted, link.columns))}) REFERENCES "
                f"{quoted(names[database, link.table.lower()])} "
                f"({', '.join(map(quoted, link.ref_columns))})"
            )
    return f"CREATE TABLE main.{quoted(names[database, table.name.lower()])} ({', '.join(parts)})"


def tables_of_file(path: Path) -> tuple[Table, ...]:
    return tuple(table for table in open_database(path).schema.tables if table.kind == "table")


def tables_of_entry(entry: Mapping[str, Any]) -> tuple[Table, ...]:
    """The tables of one entry of Spider's or BIRD's tables.json."""
    columns, names = entry["column_names_original"], entry["table_names_original"]
    # BIRD lists the columns of a key of several as a list.
    keys = [k if isinstance(k, list) else [k] for k in entry["primary_keys"]]
    place = {number: at for key in keys for at, number in enumerate(key, start=1)}
    return tuple(
        Table(
            name,
            tuple(
                Column(column, entry["column_types"][number], place.get(number, 0))
                for number, (owner, column) in enumerate(columns)
                if owner == at
            ),
            tuple(
                ForeignKey((columns[a][1],), names[columns[b][0]], (columns[b][1],))
                for a, b in entry["foreign_keys"]
                if columns[a][0] == at
            ),
        )
        for at, name in enumerate(names)
    )
