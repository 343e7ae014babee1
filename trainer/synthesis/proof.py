"""Proves a draft by running it: a trivial or an ambiguous question is not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlglot
from sqlglot import exp

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.constraint import SchemaConstraint
from t2sql_tui.core.types import CheckedQuery, Limits
from trainer.sql_style import by_names
from trainer.synthesis.writer import Draft

ROWS = 200  # maximum of a result; nobody reads more
# A query takes milliseconds. A limit that a busy machine could reach would make the same seed
# give other questions there.
LIMITS = Limits(rows=100_000, seconds=120.0)


class Unproved(Exception):
    """The reason for not keeping a draft."""


class Prover:
    """Judges drafts on one open database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.constraint = SchemaConstraint(database.schema)

    def prove(self, draft: Draft) -> str:
        """The SQL of a draft, in the style that is trained on. Raises: Unproved."""
        try:
            sql = by_names(draft.sql, self.database.schema)
        except ValueError as error:
            raise Unproved("not readable") from error
        if not self.constraint.accepts(sql, True):
            raise Unproved("not accepted by schema-constrained decoding")
        rows = self._rows(sql)
        if rows != self._rows(draft.sql):
            raise Unproved("other rows in the style")
        self._require_meaningful(rows)
        if self._tied(sql):
            raise Unproved("a tie at the limit")
        for rival in draft.rivals:
            if Counter(self._rows(rival)) == Counter(rows):
                raise Unproved("another reading gives the same rows")
        for weaker in _weaker(sql):
            if Counter(self._rows(weaker)) == Counter(rows):
                raise Unproved("a condition does not matter")
        return sql

    def _require_meaningful(self, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            raise Unproved("empty")
        if len(rows) > ROWS:
            raise Unproved("too many rows")
        columns = list(zip(*rows, strict=True))
        nulls = all(cell is None for row in rows for cell in row)
        if nulls or any(not any(column) for column in columns):
            raise Unproved("nothing but NULL or 0 in a column")

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        checked = check(sql, self.database)
        if not isinstance(checked, CheckedQuery):
            raise Unproved(f"does not pass the check: {checked.message}")
        try:
            return list(self.database.run(checked, LIMITS).rows)
        except T2SQLError as error:
            raise Unproved(f"does not run: {error.message}") from error

    def _tied(self, sql: str) -> bool:
        """Whether the first row that LIMIT leaves out sorts equal to the last one it keeps."""
        tree = sqlglot.parse_one(sql, read="sqlite")
        limit, order = tree.args.get("limit"), tree.args.get("order")
        if not limit or not order or not isinstance(tree, exp.Select):
            return False
        count = int(limit.expression.this)
        keys = [
            exp.alias_(ordered.this.copy(), f"key_{number}")
            for number, ordered in enumerate(order.expressions)
        ]
        longer = tree.select(*keys).limit(count + 1).sql(dialect="sqlite")
        rows = [row[-len(keys) :] for row in self._rows(longer)]
        return len(rows) > count and rows[count - 1] == rows[count]


def _weaker(sql: str) -> Iterator[str]:
    """`sql` without one of its conditions, for each of them."""
    clauses = sqlglot.parse_one(sql, read="sqlite").find_all(exp.Where, exp.Having)
    counts = [
        len(list(clause.this.flatten())) if isinstance(clause.this, exp.And) else 1
        for clause in clauses
    ]
    for index, count in enumerate(counts):
        for dropped in range(count):
            tree = sqlglot.parse_one(sql, read="sqlite")
            clause = list(tree.find_all(exp.Where, exp.Having))[index]
            parts = list(clause.this.flatten()) if count > 1 else [clause.this]
            kept = parts[:dropped] + parts[dropped + 1 :]
            if kept:
                clause.set("this", exp.and_(*kept))
            else:
                clause.pop()
            yield tree.sql(dialect="sqlite")
