"""Where examples come from: suites of the benchmarks, and sets that only training uses."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import suites
from benchmarks.datasets import DataError, Dataset, read_gretel, read_list, read_spider_syn
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.types import Example
from trainer.config import Config
from trainer.files import cache_folder
from trainer.synthesis.generate import read_synthetic


def read_source(name: str, config: Config, *, quiet: bool = True) -> Dataset:
    """The data set called `name` in --data: a suite of the benchmarks, or a training set.

    A set that has to be generated first shows its progress unless `quiet`.
    Raises: DataError for a suite whose role is to measure finished models, and for data that
    are missing or damaged.
    """
    if suites.suite_role(name) == "measure":
        raise DataError(
            f"{name} is for measuring finished models: no run may train on it or choose by it.",
            "Measure on spider-train-holdout while training, and at the end with `trainer eval`.",
        )
    if name in _TRAINING_SETS:
        return _TRAINING_SETS[name](config, quiet)
    if name.startswith("gretel-format:"):
        return _read_gretel(Path(name.partition(":")[2]).expanduser())
    return suites.load_suite(name, _root(config))


def _root(config: Config) -> Path | None:
    return Path(config.data_root).expanduser() if config.data_root else None


def _read_gretel(file: Path) -> Dataset:
    return read_gretel(file.parent, file.name, suites.cache_folder() / "gretel")


def _gretel_train(config: Config, quiet: bool) -> Dataset:
    folder = suites.data_folder(_root(config)) / "gretel"
    return _read_gretel(folder / "synthetic_text_to_sql_train.snappy.parquet")


def _spider_syn(config: Config, quiet: bool) -> Dataset:
    wordings = suites.data_folder(_root(config)) / suites.SPIDER_SYN
    return read_spider_syn(read_source("spider-train", config), wordings)


def _synthetic(config: Config, quiet: bool) -> Dataset:
    spider = read_source("spider-train", config)
    return read_synthetic(spider, config.synthetic, config.data_seed, quiet=quiet)


# --- BIRD's questions without its databases -----------------------------------------


def _bird_text(config: Config, quiet: bool) -> Dataset:
    """BIRD's training questions without its databases (33 GB).

    tables.json gives empty databases, against which the SQL can be prepared, though not judged.
    """
    folder = suites.data_folder(_root(config)) / "bird"
    files, entries = {}, {}
    for entry in read_list(folder / "tables.json"):
        target = cache_folder() / "bird" / f"{entry['db_id']}.sqlite"
        if not target.exists():
            _build_empty(entry, target)
        files[entry["db_id"]], entries[entry["db_id"]] = (target,), entry
    examples = tuple(
        Example(
            f"bird-{index:04d}",
            row["db_id"],
            row["question"],
            row["SQL"],
            "bird",
            "train",
            row.get("evidence") or "",
        )
        for index, row in enumerate(read_list(folder / "train.json"))
        if row["db_id"] in files
    )
    return Dataset(examples, files, entries)


def _build_empty(entry: dict[str, Any], target: Path) -> None:
    """Writes an empty database with the tables, types and keys of an entry of tables.json."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as connection:
        for number, name in enumerate(entry["table_names_original"]):
            lines = ", ".join(_declarations(entry, number))
            connection.execute(f"CREATE TABLE {quoted(name)} ({lines})")
        connection.commit()
    part.rename(target)


def _declarations(entry: dict[str, Any], table: int) -> Iterator[str]:
    """The columns and keys of one table, as CREATE TABLE declares them."""
    names = entry["table_names_original"]
    columns = entry["column_names_original"]  # [number of the table, name]
    for (owner, column), kind in zip(columns, entry["column_types"], strict=True):
        if owner == table:
            yield f"{quoted(column)} {kind.upper()}"
    for key in entry["primary_keys"]:
        key = key if isinstance(key, list) else [key]
        if columns[key[0]][0] == table:
            yield f"PRIMARY KEY ({', '.join(quoted(columns[k][1]) for k in key)})"
    for column, target in entry["foreign_keys"]:
        if columns[column][0] == table:
            yield (
                f"FOREIGN KEY ({quoted(columns[column][1])}) REFERENCES "
                f"{quoted(names[columns[target][0]])} ({quoted(columns[target][1])})"
            )


_TRAINING_SETS: dict[str, Callable[[Config, bool], Dataset]] = {
    "gretel-train": _gretel_train,
    "spider-syn": _spider_syn,
    "synthetic": _synthetic,
    "bird-text": _bird_text,
}
