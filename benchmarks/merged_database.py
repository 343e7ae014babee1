"""All databases of a data set merged into one SQLite file of hundreds of tables."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets import DataError, Dataset, read_list, sample
from benchmarks.metrics.trees import columns_read
from benchmarks.suites import cache_folder, data_folder, load_suite
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.types import Column, Example, ForeignKey, Table

BIRD = "bird-schemas"  # questions and tables.json alone: BIRD's databases are 33 GB

# Names of tables in the merged file, by database and lower-case name in it.
Names = Mapping[tuple[str, str], str]


def merged_names(databases: Mapping[str, tuple[Table, ...]]) -> Names:
    """The names of the tables in the merged file. A table keeps its name where no other database
    has it, else the database's name goes before it: `customers` of `shop_1` becomes
    `shop_1_customers`. Nothing else tells which tables came from one database."""
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
    """The merged file, and what the gold SQL of each question reads in it.

    `gold_columns` are (table, lower-case column) that the gold SQL names, by question.
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
        examples, databases = _read_bird_schemas(data_folder(data) / "bird", limit, seed)
        files: dict[str, Path] = {}
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
    read = {e.id: _read_by_gold(e, databases[e.database], names) for e in examples}
    gold_tables = {id_: frozenset(columns) for id_, columns in read.items()}
    gold_columns = {
        id_: frozenset((table, column) for table in columns for column in columns[table])
        for id_, columns in read.items()
    }
    readable = tuple(example for example in examples if gold_tables[example.id])
    if not readable:
        raise DataError(f"No question of {suite} reads a table.", "Choose another suite.")
    unread = len(examples) - len(readable)
    return Merged(open_database(path), names, readable, gold_tables, gold_columns, key, unread)


def _read_bird_schemas(
    root: Path, limit: int | None, seed: int
) -> tuple[tuple[Example, ...], dict[str, tuple[Table, ...]]]:
    """BIRD's training questions and the tables of its databases, without the databases."""
    examples = tuple(
        Example(
            f"train-{index:04d}",
            row["db_id"],
            row["question"],
            row["SQL"],
            evidence=row.get("evidence") or "",
        )
        for index, row in enumerate(read_list(root / "train.json"))
    )
    databases = {e["db_id"]: tables_of_entry(e) for e in read_list(root / "tables.json")}
    return sample(Dataset(examples, {}), limit, seed).examples, databases


def _read_by_gold(example: Example, tables: tuple[Table, ...], names: Names) -> dict[str, set[str]]:
    """What the gold SQL reads: by the table's name in the merged file, the columns it names."""
    columns = {
        table.name.lower(): {column.name.lower() for column in table.columns} for table in tables
    }
    read = columns_read(example.gold, columns)
    return {names[example.database, table]: found for table, found in read.items()}


def _key_of(databases: Mapping[str, tuple[Table, ...]], files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256(repr(sorted(databases.items())).encode())
    for _, path in sorted(files.items()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


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
    """The tables of one SQLite file; no views, no virtual tables."""
    return tuple(table for table in open_database(path).schema.tables if table.kind == "table")


def tables_of_entry(entry: Mapping[str, Any]) -> tuple[Table, ...]:
    """The tables of one entry of Spider's or BIRD's tables.json."""
    columns, names = entry["column_names_original"], entry["table_names_original"]
    # BIRD lists the columns of a key of several as a list.
    keys = [k if isinstance(k, list) else [k] for k in entry["primary_keys"]]
    position = {number: at for key in keys for at, number in enumerate(key, start=1)}
    return tuple(
        Table(
            name,
            tuple(
                Column(column, entry["column_types"][number], position.get(number, 0))
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
