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

import hashlib
import json
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sqlglot import exp, parse_one

from benchmarks.metrics import official
from benchmarks.metrics.execution import Rows, same_result
from benchmarks.metrics.mutants import mutants
from benchmarks.metrics.trees import comparisons, joined_pairs, parsed, resolve_columns
from t2sql_tui.core.database import connect, open_database
from t2sql_tui.core.errors import DatabaseError
from t2sql_tui.core.schema import quote
from t2sql_tui.core.types import Column, Schema, Table

__test__ = False  # pytest: no tests in here, whatever the name

_FORMAT = 1  # counts up when the same seed gives other databases
_TRIES = 3  # neighbours drawn for each that is kept
_FOCUS = 8  # golds whose constants one neighbour is aimed at
_SHUFFLES = 3  # orders of reading that a gold's answer must survive
_ROWS = (20, 150)  # rows of a table, if the original has enough
_POOL = 1000  # stored rows of a table that are known,
_READ = 200_000  # drawn from so many of its first
_SECONDS = 1.0  # a mutant that runs longer is not judged


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
    try:
        with database.open("rb") as file:
            key = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise DatabaseError(f"{database} cannot be read: {error.strerror}.") from error
    key.update(json.dumps([_FORMAT, golds, count, seed]).encode())
    place = folder / f"{database.stem}-{key.hexdigest()[:16]}"
    if not (place / _REPORT).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as unfinished:
            work = Path(unfinished, "suite")
            work.mkdir()
            report = _Builder(database, golds, Random(f"{seed} {database.stem}")).build(
                work, count
            )
            (work / _REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
            # Another process may have been as quick, with the same result.
            if not place.exists():
                work.rename(place)
    report = json.loads((place / _REPORT).read_text(encoding="utf-8"))
    return Neighbours(
        files=tuple(place / name for name in report["files"]),
        mutants=report["mutants"],
        killed_by_original=report["killed_by_original"],
        killed=report["killed"],
        unstable={gold: frozenset(names) for gold, names in report["unstable"].items()},
    )


_REPORT = "suite.json"


class _Builder:
    def __init__(self, database: Path, golds: Sequence[str], random: Random) -> None:
        self.random = random
        with open_database(database) as opened, opened.reading() as connection:
            self.schema = opened.schema
            self.draft = _Draft(connection, self.schema, golds)
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
            best = None
            for attempt in range(_TRIES):
                path = folder / f"neighbour-{number:02d}-{attempt}.sqlite"
                self.draft.write(path, self._focus(), self.random)
                killed, open_ended = self._judge(path)
                if best is None or _total(killed) > _total(best[1]):
                    if best is not None:
                        best[0].unlink()
                    best = path, killed, open_ended
                else:
                    path.unlink()
            path, killed, open_ended = best
            path = path.rename(folder / f"neighbour-{number:02d}.sqlite")
            files.append(path)
            for gold, gone in killed.items():
                self.alive[gold] = [sql for sql in self.alive[gold] if sql not in gone]
            for gold in open_ended:
                unstable[gold].append(path.name)
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
            alias = quote(table.alias_or_name)
            table.replace(
                parse_one(
                    f"SELECT * FROM (SELECT * FROM {quote(table.name)}"
                    f" ORDER BY any_order() LIMIT -1) AS {alias}", read="sqlite",
                ).find(exp.Subquery).copy()
            )  # fmt: skip
    return tree.sql(dialect="sqlite")


def _total(groups: Mapping[str, Collection[str]]) -> int:
    return sum(map(len, groups.values()))


def _judged(sql: str) -> str:
    """What the official verdict would run."""
    return official.current_year(official.without_distinct(official.joined_operators(sql)))


def _differ(gold: str, wanted: Rows, got: Rows) -> bool:
    return not same_result(wanted, got, "order by" in gold.lower())


class _Runner:
    """Runs golds and their mutants, which are ours, on a connection that only reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.deadline = 0.0
        connection.create_function("any_order", 0, Random(0).random)

    def __enter__(self) -> _Runner:
        self.connection.set_progress_handler(lambda: time.monotonic() > self.deadline, 10_000)
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.set_progress_handler(None, 0)

    def rows(self, sql: str, beyond: int | None = None) -> Rows | None:
        """All rows, or one more than `beyond`; None if the SQL fails or takes too long."""
        self.deadline = time.monotonic() + _SECONDS
        try:
            cursor = self.connection.execute(sql)
            return cursor.fetchall() if beyond is None else cursor.fetchmany(beyond + 1)
        except (sqlite3.Error, sqlite3.Warning):
            return None


# --- drawing rows -----------------------------------------------------------------

# A column by its table and name, both in lower case.
_Name = tuple[str, str]


class _Draft:
    """What is known of a database and its golds, and how to write a neighbour from it."""

    def __init__(
        self, connection: sqlite3.Connection, schema: Schema, golds: Sequence[str]
    ) -> None:
        self.ddl = [
            sql
            for (sql,) in connection.execute(
                "SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index', 'view')"
                " AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                " ORDER BY rootpage = 0, rowid"
            )
        ]
        self.tables = [table for table in schema.tables if table.kind == "table"]
        self.rows = {table.name: _sample(connection, table) for table in self.tables}
        self.counts = {
            table.name: connection.execute(
                f"SELECT count(*) FROM {quote(table.name)}"
            ).fetchone()[0]
            for table in self.tables
        }
        self.pools = {
            (table.name.lower(), column.name.lower()): _distinct(self.rows[table.name], place)
            for table in self.tables
            for place, column in enumerate(_stored(table))
        }
        self.unique = {
            (table.name.lower(), name)
            for table in self.tables
            for name in _unique_columns(connection, table)
        }
        self.constants: dict[str, dict[_Name, list[Any]]] = {}
        pairs: list[tuple[_Name, _Name]] = []
        for gold in golds:
            tree = parsed(gold)
            if tree is None:
                continue
            resolve_columns(tree, schema)
            self.constants[gold] = dict(self._constants(tree))
            for pair in joined_pairs(tree):
                names = [_split(name) for name in sorted(pair)]
                if len(names) == 2 and all(name in self.pools for name in names):
                    pairs.append((names[0], names[1]))
        self.parents = self._parents(pairs)

    def _constants(self, tree: Any) -> Iterator[tuple[_Name, list[Any]]]:
        for _, this, values in comparisons(tree):
            name = _split(this.name)
            if name in self.pools:
                found = [_literal(value) for value in values]
                found = [value for value in found if value is not None]
                if found:
                    yield name, found

    def _parents(self, pairs: Iterable[tuple[_Name, _Name]]) -> dict[_Name, _Name]:
        """Where a column's values come from: its foreign key, or the column that a gold
        joins it with. No column is its own ancestor."""
        parents: dict[_Name, _Name] = {}

        def link(child: _Name, parent: _Name) -> None:
            above: _Name | None = parent
            while above is not None and above != child:
                above = parents.get(above)
            if above is None and child not in parents and {child, parent} <= self.pools.keys():
                parents[child] = parent

        for table in self.tables:
            for key in table.foreign_keys:
                for column, target in zip(key.columns, key.ref_columns):
                    link((table.name.lower(), column.lower()), (key.table.lower(), target.lower()))
        for first, second in pairs:
            # The side that is unique, or has more values, is the one that is pointed at.
            size = {n: (n in self.unique, len(self.pools[n])) for n in (first, second)}
            child, parent = sorted((first, second), key=lambda name: size[name])
            link(child, parent)
        return parents

    def write(self, path: Path, focus: Sequence[str], random: Random) -> None:
        """One neighbour, aimed at the constants of the golds in `focus`."""
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for sql in self.ddl:
                try:
                    connection.execute(sql)
                except sqlite3.Error:  # virtual tables and what stands on them
                    continue
            columns: dict[_Name, list[Any]] = {}
            for table in self._in_order():
                stored = _stored(table)
                if not stored:
                    continue
                rows = self._draw(table, stored, columns, focus, random)
                slots = ", ".join("?" * len(stored))
                names = ", ".join(quote(column.name) for column in stored)
                connection.executemany(
                    f"INSERT OR IGNORE INTO {quote(table.name)} ({names}) VALUES ({slots})", rows
                )
                kept = connection.execute(f"SELECT {names} FROM {quote(table.name)}").fetchall()
                for place, column in enumerate(stored):
                    columns[table.name.lower(), column.name.lower()] = [
                        row[place] for row in kept if row[place] is not None
                    ]
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _in_order(self) -> list[Table]:
        """Tables after those that their columns point at, as far as there is such an order."""
        waiting, placed = list(self.tables), []
        while waiting:
            done = {table.name.lower() for table in placed}
            ready = [table for table in waiting if self._targets(table) <= done]
            placed += ready or waiting[:1]
            waiting = [table for table in waiting if table not in placed]
        return placed

    def _targets(self, table: Table) -> set[str]:
        name = table.name.lower()
        return {parent[0] for child, parent in self.parents.items() if child[0] == name} - {name}

    def _draw(
        self,
        table: Table,
        stored: Sequence[Column],
        columns: Mapping[_Name, list[Any]],
        focus: Sequence[str],
        random: Random,
    ) -> list[list[Any]]:
        name = table.name.lower()
        count = round(self.counts[table.name] * random.uniform(0.5, 2))
        count = min(max(count, 4), random.randint(*_ROWS))
        cells = [
            self._cells((name, column.name.lower()), column, columns, count, random)
            for column in stored
        ]
        aims = [
            aim
            for gold in focus
            if (aim := {
                place: self.constants[gold][name, column.name.lower()]
                for place, column in enumerate(stored)
                if (name, column.name.lower()) in self.constants.get(gold, {})
                and (name, column.name.lower()) not in self.unique
            })
        ]  # fmt: skip
        originals = self.rows[table.name]
        rows = []
        for number in range(count):
            row = [draw(number) for draw in cells]
            if originals and random.random() < 0.5:
                self._resample(row, random.choice(originals), name, stored, random)
            if aims and random.random() < 0.6:
                for place, values in random.choice(aims).items():
                    if random.random() < 0.85:
                        row[place] = _near(random.choice(values), random)
            rows.append(row)
        return rows

    def _resample(
        self,
        row: list[Any],
        original: Sequence[Any],
        table: str,
        stored: Sequence[Column],
        random: Random,
    ) -> None:
        """Take most plain cells from a stored row, which keeps what belongs together."""
        for place, column in enumerate(stored):
            name = (table, column.name.lower())
            if name not in self.unique and name not in self.parents and random.random() < 0.7:
                row[place] = original[place]

    def _cells(
        self,
        name: _Name,
        column: Column,
        columns: Mapping[_Name, list[Any]],
        count: int,
        random: Random,
    ) -> Callable[[int], Any]:
        """How to draw the cell of row `number` in one column."""
        pool = self.pools[name]
        empty = 0.0 if column.not_null or column.primary_key else 0.04
        above = columns.get(self.parents.get(name, ("", "")))
        if above:
            above = list(dict.fromkeys(above))
            random.shuffle(above)
            if name in self.unique:
                return lambda number: above[number] if number < len(above) else None
            # Some parents have many children, some none.
            weights = [random.random() ** 3 for _ in above]
            drawn = random.choices(above, weights, k=count)
            return lambda number: None if random.random() < empty else drawn[number]
        if name in self.unique:
            values = _distinct_values(pool, count, random)
            return lambda number: values[number]
        if not pool:
            kind = column.type.lower()
            numeric = any(word in kind for word in ("int", "num", "real", "dec", "float", "dou"))
            pool = list(range(20)) if numeric else ["a", "b", "c", "d"]
        few = len(pool) <= 6
        weights = [random.random() ** 2 for _ in pool]

        def draw(number: int) -> Any:
            if random.random() < empty:
                return None
            value = random.choices(pool, weights)[0]
            return value if few or random.random() < 0.5 else _perturbed(value, pool, random)

        return draw


def _stored(table: Table) -> list[Column]:
    return [column for column in table.columns if not (column.generated or column.hidden)]


def _split(name: str) -> _Name:
    table, _, column = name.rpartition(".")
    return table, column


def _sample(connection: sqlite3.Connection, table: Table) -> list[tuple[Any, ...]]:
    """Rows from all over the table, or its beginning if it is large; always the same."""
    columns = ", ".join(quote(column.name) for column in _stored(table))
    if not columns:
        return []
    (count,) = connection.execute(f"SELECT count(*) FROM {quote(table.name)}").fetchone()
    step = max(1, min(count, _READ) // _POOL)
    rows = connection.execute(f"SELECT {columns} FROM {quote(table.name)} LIMIT {_READ}")
    return [row for number, row in enumerate(rows) if number % step == 0]


def _distinct(rows: Sequence[tuple[Any, ...]], place: int) -> list[Any]:
    return list(dict.fromkeys(row[place] for row in rows if row[place] is not None))


def _unique_columns(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    """Columns that are the whole of a primary key or of a unique index."""
    key = [column.name for column in table.columns if column.primary_key]
    if len(key) == 1:
        yield key[0].lower()
    for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({quote(table.name)})"):
        names = [row[2] for row in connection.execute(f"PRAGMA index_info({quote(index)})")]
        if unique and len(names) == 1 and names[0] is not None:
            yield names[0].lower()


def _literal(node: Any) -> Any:
    """The constant that a node of sqlglot stands for, None for anything else."""
    if isinstance(node, exp.Neg) and (value := _literal(node.this)) is not None:
        return -value if isinstance(value, (int, float)) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.name.replace("%", "") if "%" in node.name else node.name
    return int(node.name) if node.name.isdigit() else float(node.name)


def _near(value: Any, random: Random) -> Any:
    """A constant of a gold, or one just beside it."""
    if random.random() < 0.6:
        return value
    if isinstance(value, (int, float)):
        return value + random.choice([-2, -1, 1, 2])
    return random.choice([f"{value} x", f"x {value}", value.lower(), value.upper(), value[:-1]])


def _perturbed(value: Any, pool: Sequence[Any], random: Random) -> Any:
    """A value of the same kind that may be new to the column."""
    if isinstance(value, int):
        numbers = [other for other in pool if isinstance(other, int)]
        return random.randint(min(numbers) - 2, max(numbers) + 2)
    if isinstance(value, float):
        return round(value * random.uniform(0.5, 1.5), 2)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
        return str(random.randint(0, 2 * int(value) + 2)).zfill(len(value))
    if isinstance(value, str) and random.random() < 0.3:
        return random.choice([f"{value} {random.randint(2, 9)}", value.lower(), value.swapcase()])
    return random.choice(pool)


def _distinct_values(pool: Sequence[Any], count: int, random: Random) -> list[Any]:
    """`count` different values: some of the pool, then new ones of its kind."""
    values = dict.fromkeys(random.sample(list(pool), min(len(pool), max(1, count * 3 // 4))))
    numbers = [value for value in pool if isinstance(value, (int, float))]
    top = int(max(numbers, default=0))
    while len(values) < count:
        if numbers or not pool:
            values[random.randint(1, max(top, 0) + 4 * count)] = None
        else:
            values[f"{random.choice(list(pool))} {random.randint(2, 9 * count)}"] = None
    drawn = list(values)
    random.shuffle(drawn)
    return drawn
