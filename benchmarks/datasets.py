"""Readers of data sets: questions with their gold SQL and their databases.

Nothing here downloads (see `fetch.py`) and nothing is skipped in silence: a file that is
missing, cut short or malformed is a `DataError` that names it.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import Example


class DataError(T2SQLError):
    """A data set or a predictions file is missing, incomplete or not what it should be."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples, and the files of their databases.

    `files` maps a database id to its SQLite files: the first is the one that prompts are
    made from; where there are several, all are tests (test-suite accuracy). `tables` holds
    the entries of Spider's tables.json by database id, {} where the data has none.
    `notes` are things a reader of the numbers must know.
    """

    examples: tuple[Example, ...]
    files: Mapping[str, tuple[Path, ...]]
    tables: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def only(self, examples: Iterable[Example]) -> Dataset:
        """The same data with fewer (or reordered) examples."""
        return replace(self, examples=tuple(examples))

    def sha256(self) -> str:
        """Hex digest over the examples in use (sorted by id) and the bytes of their databases."""
        digest = hashlib.sha256()
        for e in sorted(self.examples, key=lambda e: e.id):
            known: list[object] = [e.id, e.database, e.question, e.gold, e.evidence]
            # Only where there is more to tell, so that older data sets keep their hash.
            known += [list(e.accepted)] if e.accepted else []
            digest.update(json.dumps(known).encode())
        for database in sorted({e.database for e in self.examples}):
            for path in self.files[database]:
                digest.update(f"{database}/{path.name}".encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def read_spider(
    root: Path,
    questions: Sequence[str] = ("dev.json",),
    *,
    tables: str = "tables.json",
    databases: str = "database",
    only: Collection[str] | None = None,
    without: Collection[str] = (),
) -> Dataset:
    """A folder in Spider's layout: question files, tables.json and `database/ID/*.sqlite`. An
    entry may also have `evidence`, and `golds` that are accepted beside its query.

    Ids are the file's stem and the index in it ("dev-0412"), for Spider has none of its
    own. `only` and `without` choose by database id.

    Raises: DataError.
    """
    examples = []
    for name in questions:
        stem = Path(name).stem
        for index, row in enumerate(read_list(root / name)):
            db_id, question, gold = _texts(row, ("db_id", "question", "query"), root / name, index)
            if (only is None or db_id in only) and db_id not in without:
                examples.append(
                    Example(
                        f"{stem}-{index:04d}",
                        db_id,
                        question,
                        gold,
                        root.name,
                        stem,
                        row.get("evidence") or "",
                        tuple(other for other in row.get("golds", ()) if other != gold),
                    )
                )
    entries = read_list(root / tables) if (root / tables).exists() else []
    return _dataset(examples, root / databases, {entry["db_id"]: entry for entry in entries})


SYN = "syn-"  # before the id of the question that was worded anew


def read_spider_syn(spider: Dataset, path: Path) -> Dataset:
    """The questions of `spider` that Spider-Syn (Gan et al. 2021) words anew, with synonyms in
    place of the schema's own names; `path` is its train_spider.json. The SQL stays the same.

    Raises: DataError.
    """
    if not path.exists():
        raise DataError(
            f"There is no {path}.",
            "Run `benchmarks fetch spider-syn`, or name a copy with --data DIR or T2SQL_DATA.",
        )
    keys = ("db_id", "SpiderQuestion", "SpiderSynQuestion")
    rows = (_texts(row, keys, path, index) for index, row in enumerate(read_list(path)))
    wordings = {(db_id, question): wording for db_id, question, wording in rows}
    return spider.only(
        replace(e, id=f"{SYN}{e.id}", question=wording, source="spider-syn")
        for e in spider.examples
        if (wording := wordings.get((e.database, e.question))) and wording != e.question
    )


# The names that BIRD's own releases have used, newest first.
_BIRD_QUESTIONS = ("mini_dev_sqlite.json", "dev.json", "train.json")
_BIRD_DATABASES = ("dev_databases", "train_databases", "databases", "database")


def read_bird(root: Path, questions: str | None = None) -> Dataset:
    """A folder in BIRD's layout; the evidence goes into the prompt as a hint.

    Raises: DataError.
    """
    names = (questions,) if questions else _BIRD_QUESTIONS
    name = next((n for n in names if (root / n).exists()), names[0])
    examples = []
    for index, row in enumerate(read_list(root / name)):
        db_id, question, gold = _texts(row, ("db_id", "question", "SQL"), root / name, index)
        examples.append(
            Example(
                f"{Path(name).stem}-{int(row.get('question_id', index)):04d}",
                db_id,
                question,
                gold,
                "bird",
                Path(name).stem,
                row.get("evidence") or "",
            )
        )
    folders = [root / name for name in _BIRD_DATABASES]
    folder = next((path for path in folders if path.is_dir()), folders[0])
    stem = Path(name).stem.removesuffix("_sqlite").removeprefix("mini_")
    candidates = (root / f"{stem}_tables.json", root / "tables.json")
    tables = next((read_list(path) for path in candidates if path.exists()), [])
    return _dataset(examples, folder, {entry["db_id"]: entry for entry in tables})


# The tasks that a SELECT answers; the others ask for INSERT, UPDATE, CREATE and the like.
_GRETEL_TASKS = ("analytics and reporting", "data retrieval")


def read_gretel(root: Path, name: str, cache: Path) -> Dataset:
    """gretelai/synthetic_text_to_sql: every question comes with the CREATE and INSERT
    statements of a database of its own, built here into `cache` once.

    The contexts are written in several dialects. A statement that SQLite refuses is left
    out and counted in `notes`; a gold query that then fails is reported with the scores.

    Raises: DataError.
    """
    path = root / name
    examples, files, refused = [], {}, 0
    for index, row in enumerate(_read_table(path)):
        question, context, gold = _texts(row, ("sql_prompt", "sql_context", "sql"), path, index)
        if row.get("sql_task_type", _GRETEL_TASKS[0]) not in _GRETEL_TASKS:
            continue
        key = hashlib.sha256(context.encode()).hexdigest()[:24]
        target = cache / key[:2] / f"{key}.sqlite"
        refused += _build_context(context, target)
        files[key] = (target,)
        examples.append(
            Example(f"gretel-{row.get('id', index)}", key, question, gold, "gretel", "test")
        )
    notes = (f"{refused} databases had statements that SQLite refuses",) if refused else ()
    return Dataset(_unique(examples), files, notes=notes)


def read_demo(cache: Path) -> Dataset:
    """The app's own sample databases, built into `cache`, and the questions they come with."""
    from t2sql_tui.demo import DEMOS, build, questions  # builds databases: not for --help

    examples = [example for demo in DEMOS for example in questions(demo.name)]
    return Dataset(_unique(examples), {demo.name: (build(demo.name, cache),) for demo in DEMOS})


# --- shared by the readers ----------------------------------------------------------


def sample(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """`limit` examples drawn at random by `seed`, or all; sorted by database, so that
    questions on one database follow each other and share its prompt prefix."""
    examples = dataset.examples
    if limit is not None and limit < len(examples):
        examples = tuple(random.Random(seed).sample(examples, limit))
    return dataset.only(sorted(examples, key=lambda e: (e.database, e.id)))


def check_opens(path: Path) -> None:
    """Reads the file's schema, so that a file cut short is refused: SQLite compares its size
    with its header before it reads the first table.

    Raises: DataError.
    """
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DataError(
            f"{path} does not open as a SQLite database: {error}.",
            "It may be half downloaded: delete the data set's folder and fetch it again.",
        ) from None
    if not tables:
        raise DataError(f"{path} holds no table.", "Fetch the data set again.")


def _dataset(examples: Sequence[Example], folder: Path, tables: Mapping[str, dict]) -> Dataset:
    """The data set of `examples`, with every database that they name found and opened once."""
    files: dict[str, tuple[Path, ...]] = {}
    missing = []
    for database in sorted({e.database for e in examples}):
        found = sorted((folder / database).glob("*.sqlite"), key=lambda p: (p.stem != database, p))
        if found:
            files[database] = tuple(found)
        else:
            missing.append(database)
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{len(missing)} of {len(missing) + len(files)} databases are missing under "
            f"{folder}: {shown}.",
            "Each should be ID/ID.sqlite. Finish the download, or fetch the data set again.",
        )
    for paths in files.values():
        for path in paths:
            check_opens(path)
    return Dataset(_unique(examples), files, tables)


def _unique(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples. Raises: DataError where there are none, or two have one id."""
    if not examples:
        raise DataError("The data set holds no example.", "Check the question file.")
    twice = [id_ for id_, count in Counter(e.id for e in examples).items() if count > 1]
    if twice:
        raise DataError(
            f"{len(twice)} ids occur more than once, the first is '{twice[0]}'.",
            "Every example needs an id of its own.",
        )
    return tuple(examples)


def _texts(row: Any, names: Sequence[str], path: Path, index: int) -> tuple[str, ...]:
    """The named fields of one row, all of them non-empty text."""
    for name in names:
        value = row.get(name) if isinstance(row, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise DataError(
                f"Entry {index} of {path} has no '{name}'.",
                f"Every entry needs {', '.join(names)}.",
            )
    return tuple(row[name] for name in names)


def read_list(path: Path) -> list[dict[str, Any]]:
    """The list in a JSON file.

    Raises: DataError where the file is missing, damaged, or holds no list.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"There is no {path}.", "Name a copy with --data DIR, or run `benchmarks fetch`."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is not whole JSON: {error}.", "It may be half downloaded: fetch it again."
        ) from None
    if not isinstance(rows, list):
        raise DataError(f"{path} does not hold a list of examples.", "Is it the right file?")
    return rows


def _read_table(path: Path) -> list[dict[str, Any]]:
    """Rows of a .parquet or a .json file."""
    if path.suffix != ".parquet":
        return read_list(path)
    if not path.exists():
        raise DataError(
            f"There is no {path}.", "Name a copy with --data DIR, or run `benchmarks fetch`."
        )
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} cannot be read: {error}.", "Fetch it again.") from None


def _build_context(context: str, target: Path) -> bool:
    """Builds one small database from SQL text unless it is there. True if SQLite refused a
    statement; those are kept in a file beside the database."""
    refusals = target.with_suffix(".refused")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.unlink(missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        refused = []
        statement = ""
        for piece in context.split(";"):
            statement += piece + ";"
            if not sqlite3.complete_statement(statement):
                continue  # the semicolon was inside a string
            try:
                connection.execute(statement)
            except (sqlite3.Error, sqlite3.Warning) as error:
                refused.append(f"{error}: {statement.strip()}")
            statement = ""
        connection.close()
        if refused:
            refusals.write_text("\n".join(refused), encoding="utf-8")
        part.rename(target)
    return refusals.exists()
