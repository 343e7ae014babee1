"""Five demo databases, kept as SQL text, each with ten questions and their gold SQL.

`dice.sql` holds the random draws that all five are made from, `NAME.sql` makes the tables,
`NAME.json` has the questions. Modules that `t2sql-tui --help`, which names the demos, does not
need are imported where they are used: together they take as long as click.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from t2sql_tui.core.errors import DatabaseError, T2SQLError

if TYPE_CHECKING:
    from t2sql_tui.core.types import Example


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo database: `name` is its id, `title` and `description` are for people."""

    name: str
    title: str
    description: str


DEMOS: tuple[Demo, ...] = (
    Demo("ecommerce", "E-commerce", "Birch & Loom, a shop for the home: orders, returns, reviews"),
    Demo("finance", "Finance", "Harbour Mutual, a retail bank: accounts, transactions, loans"),
    Demo("healthcare", "Healthcare", "Riverside Clinics: visits, diagnoses, lab results, bills"),
    Demo("saas", "SaaS", "Plank, software by subscription: plans, invoices, events, tickets"),
    Demo("retail", "Multi-store retail", "Marlow's, ten hardware stores: sales, stock, loyalty"),
)


def find_demo(name: str) -> Demo:
    """The demo of that name. Raises: T2SQLError, which names the nearest demo."""
    names = [demo.name for demo in DEMOS]
    if name in names:
        return DEMOS[names.index(name)]
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Choose one of: {', '.join(names)}."
    raise T2SQLError(f'There is no demo database "{name}".', hint)


def build(name: str, folder: Path) -> Path:
    """The path of the demo's SQLite file in `folder`, built now unless it is there already.

    The file's name carries a hash of the SQL text, so a new version of the text makes a new
    file. A file that is not as it was built (damaged, or changed with another program) is built
    again. Takes about 0.3 s. Raises: T2SQLError when there is no such demo, DatabaseError when
    the file cannot be written.
    """
    import hashlib
    import sqlite3

    from t2sql_tui.core.files import is_whole, locked, record_digest, remove_partials, whole_file

    name = find_demo(name).name
    script = _read("dice.sql") + _read(f"{name}.sql")
    path = folder / f"{name}-{hashlib.sha256(script.encode()).hexdigest()[:10]}.sqlite"
    try:
        if path.is_file() and is_whole(path):
            return path
        with locked(path):
            if path.is_file() and is_whole(path):  # built by another process meanwhile
                return path
            remove_partials(path)
            with whole_file(path) as unfinished:
                connection = sqlite3.connect(unfinished)
                try:
                    connection.execute("PRAGMA foreign_keys = ON")
                    connection.execute("PRAGMA synchronous = OFF")  # a lost file is built again
                    connection.executescript(f"BEGIN;\n{script}\nCOMMIT;")
                finally:
                    connection.close()
            record_digest(path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(
            f"Cannot build the demo database in {folder}: {error}",
            "Check that the folder is writable and the disk has 1 MB free.",
        ) from error
    return path


def questions(name: str) -> tuple[Example, ...]:
    """The demo's ten questions, from simple to hard. Raises: T2SQLError for an unknown demo."""
    from t2sql_tui.core.types import Example

    name = find_demo(name).name
    return tuple(
        Example(f"{name}-{n}", name, entry["question"], entry["gold"], source="demo")
        for n, entry in enumerate(json.loads(_read(f"{name}.json")), start=1)
    )


def _read(file: str) -> str:
    from importlib import resources

    return resources.files(__name__).joinpath(file).read_text("utf-8")
