"""Neighbours of a database: the same tables, types and keys, other rows.

Half of the rows start from a stored one, which keeps together what belongs together; the
rest are drawn column by column. Keys are drawn first and pointed at afterwards, some
often and some never. Constants of the gold queries, and values just beside them, are put
where the golds look for them.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from sqlglot import exp

from benchmarks.metrics.trees import comparisons, joined_pairs, parsed, resolve_columns
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.types import Column, Schema, Table

_ROWS = (20, 150)  # rows of a table, if the original has enough
_POOL = 1000  # stored rows of a table that are known,
_READ = 200_000  # drawn from so many of its first

_LARGE = 2**53  # numbers beyond are left as they are: SQLite's integers end at 2**63

# A column by its table and name, both in lower case.
_Name = tuple[str, str]


class Draft:
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
        self.counts = {table.name: _row_count(connection, table) for table in self.tables}
        self.pools = {
            (table.name.lower(), column.name.lower()): _distinct(self.rows[table.name], index)
            for table in self.tables
            for index, column in enumerate(_stored(table))
        }
        self.unique = {
            (table.name.lower(), name)
            for table in self.tables
            for name in _unique_columns(connection, table)
        }
        trees = {gold: tree for gold in golds if (tree := parsed(gold)) is not None}
        for tree in trees.values():
            resolve_columns(tree, schema)
        self.constants = {gold: self._constants(tree) for gold, tree in trees.items()}
        self.parents = self._parents(self._joined(trees.values()))

    def _joined(self, trees: Iterable[exp.Expr]) -> list[tuple[_Name, _Name]]:
        """Pairs of stored columns that golds join, as often as they do."""
        pairs = []
        for tree in trees:
            for pair in joined_pairs(tree):
                names = [_split(name) for name in sorted(pair)]
                if len(names) == 2 and all(name in self.pools for name in names):
                    pairs.append((names[0], names[1]))
        return pairs

    def _constants(self, tree: exp.Expr) -> dict[_Name, list[Any]]:
        """What a gold compares its columns with, by column."""
        found: dict[_Name, list[Any]] = defaultdict(list)
        for _, this, values in comparisons(tree):
            if (name := _split(this.name)) in self.pools:
                found[name] += [c for c in map(_literal, values) if c is not None]
        return {name: values for name, values in found.items() if values}

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
                # A declared key may name fewer columns than it points at.
                for column, target in zip(key.columns, key.ref_columns, strict=False):
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
                names = ", ".join(quoted(column.name) for column in stored)
                insert = f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({slots})"
                for row in rows:
                    with suppress(sqlite3.IntegrityError):  # a CHECK, a key of several columns
                        connection.execute(insert, row)
                kept = connection.execute(f"SELECT {names} FROM {quoted(table.name)}").fetchall()
                for index, column in enumerate(stored):
                    columns[table.name.lower(), column.name.lower()] = [
                        row[index] for row in kept if row[index] is not None
                    ]
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _in_order(self) -> list[Table]:
        """Tables after those that their columns point at, as far as there is such an order."""
        waiting = list(self.tables)
        placed: list[Table] = []
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
        """Rows for one table; `columns` holds what the tables before it were given."""
        names = [(table.name.lower(), column.name.lower()) for column in stored]
        count = round(self.counts[table.name] * random.uniform(0.5, 2))
        count = min(max(count, 4), random.randint(*_ROWS))
        for name in self.unique.intersection(names):
            if above := self._above(name, columns):
                count = min(count, len(above))
        wanted = [self.constants.get(gold, {}) for gold in focus]
        cells = [
            self._cells(
                name,
                column,
                self._above(name, columns),
                count,
                [value for constants in wanted for value in constants.get(name, ())],
                random,
            )
            for name, column in zip(names, stored, strict=True)
        ]
        plain = [n not in self.unique and n not in self.parents for n in names]
        targets = [
            {
                index: constants[name]
                for index, name in enumerate(names)
                if plain[index] and name in constants
            }
            for constants in wanted
        ]
        targets = [target for target in targets if target]
        rows = []
        for number in range(count):
            row = [draw(number) for draw in cells]
            _mix_in_stored(row, self.rows[table.name], plain, random)
            _aim(row, targets, random)
            rows.append(row)
        return rows

    def _above(self, name: _Name, columns: Mapping[_Name, list[Any]]) -> list[Any]:
        """The values that a column may point at; none if it points at nothing yet drawn."""
        parent = self.parents.get(name)
        return list(dict.fromkeys(columns.get(parent, ()))) if parent else []

    def _cells(
        self,
        name: _Name,
        column: Column,
        above: list[Any],
        count: int,
        wanted: Sequence[Any],
        random: Random,
    ) -> Callable[[int], Any]:
        """How to draw the cell of row `number`, below `count`, in one column."""
        pool = self.pools[name]
        empty = 0.0 if column.not_null or column.primary_key else 0.04
        if above:
            random.shuffle(above)
            if name in self.unique:
                return lambda number: above[number]
            # Some have many that point at them, some none.
            weights = [random.random() ** 3 for _ in above]
            drawn = random.choices(above, weights, k=count)
            return lambda number: None if random.random() < empty else drawn[number]
        if name in self.unique:
            values = _distinct_values(pool, count, wanted, random)
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


def _mix_in_stored(
    row: list[Any],
    stored: Sequence[tuple[Any, ...]],
    plain: Sequence[bool],
    random: Random,
) -> None:
    """Lets half of the rows start from a stored one, in the columns that are `plain`."""
    if stored and random.random() < 0.5:
        for index, value in enumerate(random.choice(stored)):
            if plain[index] and random.random() < 0.7:
                row[index] = value


def _aim(row: list[Any], targets: Sequence[Mapping[int, list[Any]]], random: Random) -> None:
    """Puts constants of a gold, or values just beside them, into most rows. `targets` are, by
    gold, the constants for a column by its index."""
    if targets and random.random() < 0.6:
        for index, values in random.choice(targets).items():
            if random.random() < 0.85:
                row[index] = _near(random.choice(values), random)


def _row_count(connection: sqlite3.Connection, table: Table) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()
    return count


def _stored(table: Table) -> list[Column]:
    return [column for column in table.columns if not (column.generated or column.hidden)]


def _split(name: str) -> _Name:
    table, _, column = name.rpartition(".")
    return table, column


def _sample(connection: sqlite3.Connection, table: Table) -> list[tuple[Any, ...]]:
    """Rows from all over the table, or its beginning if it is large; always the same."""
    columns = ", ".join(quoted(column.name) for column in _stored(table))
    if not columns:
        return []
    step = max(1, min(_row_count(connection, table), _READ) // _POOL)
    rows = connection.execute(f"SELECT {columns} FROM {quoted(table.name)} LIMIT {_READ}")
    return [row for number, row in enumerate(rows) if number % step == 0]


def _distinct(rows: Sequence[tuple[Any, ...]], index: int) -> list[Any]:
    return list(dict.fromkeys(row[index] for row in rows if row[index] is not None))


def _unique_columns(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    """Columns that are the whole of a primary key or of a unique index."""
    key = [column.name for column in table.columns if column.primary_key]
    if len(key) == 1:
        yield key[0].lower()
    for _, index, unique, *_ in connection.execute(f"PRAGMA index_list({quoted(table.name)})"):
        names = [row[2] for row in connection.execute(f"PRAGMA index_info({quoted(index)})")]
        if unique and len(names) == 1 and names[0] is not None:
            yield names[0].lower()


def _literal(node: exp.Expr) -> Any:
    """The constant that a node of sqlglot stands for, None for anything else."""
    if isinstance(node, exp.Neg) and (value := _literal(node.this)) is not None:
        return -value if isinstance(value, (int, float)) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.name.replace("%", "") if "%" in node.name else node.name
    try:
        number = float(node.name)
    except ValueError:  # 0x10
        return None
    if abs(number) > _LARGE:
        return None
    return int(number) if node.name.isdigit() else number


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
        numbers = [other for other in pool if isinstance(other, int) and abs(other) <= _LARGE]
        return random.randint(min(numbers) - 2, max(numbers) + 2) if numbers else value
    if isinstance(value, float):
        return round(value * random.uniform(0.5, 1.5), 2)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
        return str(random.randint(0, 2 * int(value) + 2)).zfill(len(value))
    if isinstance(value, str) and random.random() < 0.3:
        return random.choice([f"{value} {random.randint(2, 9)}", value.lower(), value.swapcase()])
    return random.choice(pool)


def _distinct_values(
    pool: Sequence[Any], count: int, wanted: Sequence[Any], random: Random
) -> list[Any]:
    """`count` different values: those wanted, some of the pool, then new ones of its kind."""
    kept = [*wanted, *random.sample(list(pool), min(len(pool), max(1, count * 3 // 4)))]
    values = dict.fromkeys(kept[:count])
    numbers = [value for value in pool if isinstance(value, (int, float))]
    top = int(min(max(numbers, default=0), _LARGE))
    while len(values) < count:
        if numbers or not pool:
            values[random.randint(1, max(top, 0) + 4 * count)] = None
        else:
            values[f"{random.choice(list(pool))} {random.randint(2, 9 * count)}"] = None
    drawn = list(values)
    random.shuffle(drawn)
    return drawn
