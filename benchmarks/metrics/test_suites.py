"""Test suites: neighbour databases on which a query that is right by luck is not.

A neighbour has the tables, types and keys of its original and other rows: resampled,
perturbed, and aimed at the constants of the gold queries and their near misses. Of the
neighbours drawn, those are kept that tell the golds from the most mutants (mutants.py)
that nothing has told apart so far. The method is that of Zhong, Yu and Klein 2020
("Semantic evaluation for text-to-SQL with distilled test suites"); the databases are our
own, so compare no accuracy on them with accuracy on theirs.

Where a gold has no single answer on a neighbour (ties at a LIMIT, a bare column of a
group) a right prediction could be called wrong; `files_for()` leaves such pairs out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sqlglot import exp, parse_one

from benchmarks.metrics import official
from benchmarks.metrics.execution import Rows, same_result
from benchmarks.metrics.mutants import mutants
from benchmarks.metrics.neighbours import Draft
from benchmarks.metrics.trees import parsed
from t2sql_tui.core.database.connection import connect
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.identifiers import quoted

__test__ = False  # pytest: no tests in here, whatever the name

_FORMAT = 1  # counts up when the same seed gives other databases
_REPORT = "suite.json"
_TRIES = 3  # neighbours drawn for each that is kept
_FOCUS = 8  # golds whose constants one neighbour is aimed at
_SHUFFLES = 3  # orders of reading that a gold's answer must survive
_STEPS = 20_000_000  # of SQLite's machine, about a second; what takes more is not judged


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A generated suite. `killed_by_original` of the `mutants` differ from their gold on
    the original database already, `killed` there or on a neighbour. (Not all can: some
    mutants mean the same.) `unstable` names, by gold, the files where it has no single
    answer."""

    files: tuple[Path, ...]
    mutants: int
    killed_by_original: int
    killed: int
    unstable: Mapping[str, frozenset[str]]

    def files_for(self, gold: str) -> tuple[Path, ...]:
        """The neighbours on which `gold` has one answer."""
        without = self.unstable.get(gold, frozenset())
        return tuple(path for path in self.files if path.name not in without)


def build(
    database: Path, golds: Sequence[str], *, count: int = 10, seed: int = 0, folder: Path
) -> Neighbours:
    """`count` neighbours of `database`, made under `folder` unless they are there already.

    The same file, golds, count and seed give the same suite. Raises: DatabaseError if the
    database does not open.
    """
    golds = list(dict.fromkeys(golds))
    folder = folder.resolve()
    try:
        with database.open("rb") as file:
            key = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise DatabaseError(f"{database} cannot be read: {error.strerror}.") from error
    key.update(json.dumps([_FORMAT, golds, count, seed]).encode())
    target = folder / f"{database.stem}-{key.hexdigest()[:16]}"
    if not (target / _REPORT).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as unfinished:
            work = Path(unfinished, "suite")
            work.mkdir()
            report = _Builder(database, golds, Random(f"{seed} {database.stem}")).build(work, count)
            (work / _REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
            # Another process may have been as quick, with the same result.
            if not target.exists():
                work.rename(target)
    report = json.loads((target / _REPORT).read_text(encoding="utf-8"))
    return Neighbours(
        files=tuple(target / name for name in report["files"]),
        mutants=report["mutants"],
        killed_by_original=report["killed_by_original"],
        killed=report["killed"],
        unstable={gold: frozenset(names) for gold, names in report["unstable"].items()},
    )


class _Builder:
    """Draws neighbours and keeps count of the mutants that are still `alive`, by gold."""

    def __init__(self, database: Path, golds: Sequence[str], random: Random) -> None:
        self.random = random
        with (
            open_database(database) as opened,
            contextlib.closing(connect(opened.path.as_uri() + "?mode=ro")) as connection,
        ):
            self.schema = opened.schema
            self.draft = Draft(connection, self.schema, golds)
            self.golds = {gold: _judged(gold) for gold in golds}
            self.shuffled = {gold: _shuffled(sql) for gold, sql in self.golds.items()}
            self.alive: dict[str, list[str]] = {}
            self.mutants = 0
            killed: dict[str, list[str]] = {}
            with _Runner(connection) as runner:
                for gold, sql in self.golds.items():
                    rows = runner.rows(sql)
                    if rows is None:
                        continue
                    valid = [
                        (mutant, result)
                        for mutant in map(_judged, mutants(gold, self.schema, random))
                        if mutant != sql and (result := runner.rows(mutant, len(rows))) is not None
                    ]
                    self.mutants += len(valid)
                    killed[gold] = [m for m, got in valid if _differ(sql, rows, got)]
                    self.alive[gold] = [m for m, _ in valid if m not in killed[gold]]
        self.killed_by_original = _total(killed)

    def build(self, folder: Path, count: int) -> dict[str, Any]:
        """Write `count` neighbours into `folder`; what to say about them, as JSON."""
        files: list[Path] = []
        unstable: dict[str, list[str]] = defaultdict(list)
        for number in range(count):
            drawn = []
            for attempt in range(_TRIES):
                path = folder / f"draft-{attempt}.sqlite"
                self.draft.write(path, self._focus(), self.random)
                drawn.append((path, *self._judge(path)))
            best, killed, open_ended = max(drawn, key=lambda item: _total(item[1]))
            files.append(best.rename(folder / f"neighbour-{number:02d}.sqlite"))
            for path, *_ in drawn:
                path.unlink(missing_ok=True)
            for gold, gone in killed.items():
                self.alive[gold] = [sql for sql in self.alive.get(gold, ()) if sql not in gone]
            for gold in open_ended:
                unstable[gold].append(files[-1].name)
        return {
            "files": [path.name for path in files],
            "mutants": self.mutants,
            "killed_by_original": self.killed_by_original,
            "killed": self.mutants - _total(self.alive),
            "unstable": unstable,
        }

    def _focus(self) -> list[str]:
        """The golds to aim at: first of all those with mutants alive."""
        wanted = [gold for gold, left in self.alive.items() if left] or list(self.golds)
        return self.random.sample(wanted, min(_FOCUS, len(wanted)))

    def _judge(self, path: Path) -> tuple[dict[str, set[str]], list[str]]:
        """Which mutants a neighbour kills, by gold, and the golds without one answer."""
        killed: dict[str, set[str]] = {}
        open_ended = []
        connection = connect(path.as_uri() + "?mode=ro")
        try:
            with _Runner(connection) as runner:
                for gold, sql in self.golds.items():
                    rows = runner.rows(sql)
                    if rows is None or not self._has_one_answer(gold, rows, runner):
                        open_ended.append(gold)
                        continue
                    killed[gold] = {
                        mutant
                        for mutant in self.alive.get(gold, ())
                        if (got := runner.rows(mutant, len(rows))) is not None
                        and _differ(sql, rows, got)
                    }
        finally:
            connection.close()
        return killed, open_ended

    def _has_one_answer(self, gold: str, rows: Rows, runner: _Runner) -> bool:
        """Does the gold give the same whatever the order its tables are read in? Only
        seems so where sqlglot cannot rewrite it."""
        for _ in range(_SHUFFLES):
            again = runner.rows(self.shuffled[gold])
            if again is not None and _differ(self.golds[gold], rows, again):
                return False
        return True


def _shuffled(sql: str) -> str:
    """The same query with every table read in an order of its own each time.

    The LIMIT keeps SQLite from taking the subquery apart, and its order with it.
    """
    tree = parsed(sql)
    if tree is None:
        return sql
    defined = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if table.name.lower() not in defined:
            alias = quoted(table.alias_or_name)
            outer = parse_one(
                f"SELECT * FROM (SELECT * FROM {quoted(table.name)}"
                f" ORDER BY any_order() LIMIT -1) AS {alias}",
                read="sqlite",
            )
            for subquery in outer.find_all(exp.Subquery):
                table.replace(subquery.copy())
    return tree.sql(dialect="sqlite")


def _total(groups: Mapping[str, Collection[str]]) -> int:
    return sum(map(len, groups.values()))


def _judged(sql: str) -> str:
    """What the official verdict would run."""
    return official.current_year(official.without_distinct(official.joined_operators(sql)))


def _differ(gold: str, wanted: Rows, got: Rows) -> bool:
    return not same_result(wanted, got, "order by" in gold.lower())


_PACE = 10_000  # steps between two looks at their number


class _Runner:
    """Runs golds and their mutants, which are ours, on a connection that only reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.steps = 0
        connection.create_function("any_order", 0, Random(0).random)

    def __enter__(self) -> _Runner:
        self.connection.set_progress_handler(self._count, _PACE)
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.set_progress_handler(None, 0)

    def _count(self) -> bool:
        """True ends the query. Steps are counted and not seconds, so that a busy machine
        builds the same suite."""
        self.steps += _PACE
        return self.steps > _STEPS

    def rows(self, sql: str, beyond: int | None = None) -> Rows | None:
        """All rows, or one more than `beyond`; None if the SQL fails or takes too long."""
        self.steps = 0
        try:
            cursor = self.connection.execute(sql)
            return cursor.fetchall() if beyond is None else cursor.fetchmany(beyond + 1)
        except (sqlite3.Error, sqlite3.Warning):
            return None
