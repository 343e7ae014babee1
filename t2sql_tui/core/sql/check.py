"""Whether a SQL is one SELECT that the open file can answer; if not, why.

SQLite decides: what it prepares behind the authorizer is accepted, whatever sqlglot makes of
it, and what it refuses is rejected. `problems.py` explains the refusal.
"""

from __future__ import annotations

import re
import sqlite3

from sqlglot import exp

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.database.limits import SQL_BYTES
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.lexer import split_statements
from t2sql_tui.core.sql.problems import misspelled_in_quotes, problems_of
from t2sql_tui.core.sql.tree import parse
from t2sql_tui.core.types import CHECK_KEY, CheckedQuery, Problem, ProblemKind, Rejection, Schema


def check(sql: str, database: Database) -> CheckedQuery | Rejection:
    """The SQL as a query that may be run, or why it may not. Nothing runs; a few milliseconds.

    Semicolons and comments around the statement are dropped. Raises: DatabaseError where
    the file itself cannot be read.
    """
    if len(sql) > SQL_BYTES:  # SQLite would say so, after seconds spent in splitting megabytes
        return _reject(sql, "other", f"The SQL is too long: more than {SQL_BYTES:,} characters.")
    statements = split_statements(sql)
    if not statements:
        return _reject(sql, "empty", "There is no SQL here.")
    if len(statements) > 1:
        return _reject(
            sql,
            "several-statements",
            f"There are {len(statements)} statements; write one SELECT.",
        )
    (statement,) = statements
    if problem := _not_a_query(statement):
        return Rejection(statement, (problem,))
    try:
        columns = database.prepare(statement)
    except (sqlite3.Error, sqlite3.Warning) as error:
        return Rejection(statement, problems_of(statement, str(error), database.schema))
    tree = parse(statement)
    if '"' in statement and (misspelled := misspelled_in_quotes(tree, database.schema)):
        return Rejection(statement, misspelled)
    tables = _tables_of(statement, tree, database.schema)
    return CheckedQuery(statement, columns, tables, CHECK_KEY, tree)


def _reject(sql: str, kind: ProblemKind, message: str) -> Rejection:
    return Rejection(sql, (Problem(kind, message),))


_VERBS = frozenset(
    """
    alter analyze attach begin commit create delete detach drop end explain insert pragma
    reindex release replace rollback savepoint update vacuum
    """.split()
)


def _not_a_query(statement: str) -> Problem | None:
    """What is wrong with a statement that does not even begin like a query."""
    if "\0" in statement or re.search("[\ud800-\udfff]", statement):
        return Problem("syntax", "The SQL holds a character that SQL cannot hold (NUL).")
    match = re.match(r"\w+", statement)
    word = match.group().lower() if match else statement[:1]
    if word in ("select", "with", "values"):
        return None
    if word in _VERBS:
        return Problem(
            "not-a-select", f"{word.upper()} is not allowed: only a SELECT that reads the file is."
        )
    return Problem("syntax", f"This is not SQL: it begins with {word!r}. Write one SELECT.")


def _tables_of(statement: str, tree: exp.Expression | None, schema: Schema) -> tuple[str, ...]:
    """The stored tables and views that a statement names, as stored, in order."""
    if tree is None:
        words = {folded(word) for word in re.findall(r"\w+", statement)}
        return tuple(table.name for table in schema.tables if folded(table.name) in words)
    ctes = {folded(cte.alias) for cte in tree.find_all(exp.CTE)}
    names = [table.name for table in tree.find_all(exp.Table)]
    tables = [schema.table(name) for name in names if folded(name) not in ctes]
    return tuple(dict.fromkeys(table.name for table in tables if table))
