"""Is this one SELECT that the open file can answer? If not, say why and what would do.

SQLite is the judge: what it prepares behind the authorizer is accepted, whatever sqlglot
makes of it, and what it refuses is rejected. sqlglot explains: it finds every wrong name
at once, where SQLite stops at the first, and knows which table an alias stands for. The
messages are read by people, and by models that repair their SQL from them.
"""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from t2sql_tui.core.database.limits import SQL_BYTES
from t2sql_tui.core.sql.lexer import split_statements
from t2sql_tui.core.sql.tree import parse, scopes
from t2sql_tui.core.types import (
    CHECK_KEY,
    CheckedQuery,
    Column,
    Problem,
    Rejection,
    Schema,
    Table,
)

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    from t2sql_tui.core.database.database import Database

_SHOWN = 12  # names listed in one message


def check(sql: str, database: Database) -> CheckedQuery | Rejection:
    """Check one SQL string against the file; a few milliseconds, and nothing runs.

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
        return Rejection(statement, _problems(statement, str(error), database.schema))
    tree = parse(statement)
    if '"' in statement and (misspelled := _misspelled_in_quotes(tree, database.schema)):
        return Rejection(statement, misspelled)
    tables = _tables_of(statement, tree, database.schema)
    return CheckedQuery(statement, columns, tables, CHECK_KEY, tree)


def _reject(sql: str, kind: str, message: str) -> Rejection:
    return Rejection(sql, (Problem(kind, message),))  # type: ignore[arg-type]


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
    from sqlglot import exp

    if tree is None:
        words = [word.lower() for word in re.findall(r"\w+", statement)]
        found: Iterable[Table | None] = [t for t in schema.tables if t.name.lower() in words]
    else:
        ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        names = [table.name for table in tree.find_all(exp.Table)]
        found = [schema.table(name) for name in names if name.lower() not in ctes]
    return tuple(dict.fromkeys(table.name for table in found if table))


# --- from SQLite's words to problems ----------------------------------------------


def _problems(statement: str, error: str, schema: Schema) -> tuple[Problem, ...]:
    """Explain why SQLite refused a statement. At least one problem."""
    tree = parse(statement) if error.startswith(("no such", "ambiguous")) else None
    others = _unknown_names(tree, schema)
    if match := re.fullmatch(r"no such table: (?:main\.)?(.*)", error, re.DOTALL):
        first = _unknown_table(match.group(1), schema)
    elif match := re.fullmatch(r"no such column: (.*)", error, re.DOTALL):
        if others:
            return others
        first = _unknown_column(match.group(1), schema)
    elif match := re.fullmatch(r"no such function: (.*)", error, re.DOTALL):
        first = _unknown_function(match.group(1))
    elif match := re.fullmatch(r"ambiguous column name: (.*)", error, re.DOTALL):
        first = _ambiguous(match.group(1), tree, schema)
    else:
        first = _other(statement, error)
    return tuple(dict.fromkeys((first, *others)))


def _other(statement: str, error: str) -> Problem:
    if match := re.fullmatch(r"not authorized to use function: (.*)", error):
        return Problem("forbidden", f"The function {match.group(1)} is not allowed here.")
    if "not authorized" in error or "prohibited" in error:
        return Problem("not-a-select", "Only one SELECT that reads the file is allowed.")
    if "one statement" in error:
        return Problem("several-statements", "There are several statements; write one SELECT.")
    if match := re.fullmatch(r'near "(.*)": syntax error', error, re.DOTALL):
        return Problem("syntax", _near(match.group(1), statement))
    if error == "incomplete input":
        return Problem("syntax", "The SQL is incomplete: something is missing at its end.")
    if error.startswith("unrecognized token"):
        return Problem("syntax", f"SQLite does not understand a character: {error}.")
    if "parser stack overflow" in error or "too large" in error or "too complex" in error:
        return Problem("other", f"The SQL is too long or too deeply nested: {error}.")
    if "binding" in error:
        return Problem("other", "The SQL has a parameter (?, :name): write the value itself.")
    if "misuse of aggregate" in error:
        return Problem(
            "other",
            f"{_sentence(error)} An aggregate belongs in SELECT, HAVING or ORDER BY; "
            "use HAVING, or a subquery, instead of WHERE.",
        )
    return Problem("other", _sentence(error))


def _sentence(error: str) -> str:
    return f"{error[:1].upper()}{error[1:]}."


def _near(token: str, statement: str) -> str:
    places = [match.start() for match in re.finditer(re.escape(token), statement)]
    if len(places) != 1:
        return f"Syntax error near {token!r}."
    before = " ".join(statement[: places[0]].split()[-4:])
    return f"Syntax error near {token!r}" + (f", after {before!r}." if before else ".")


# --- wrong names ------------------------------------------------------------------


def nearest(name: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The names most like `name`, best first; case does not count."""
    by_key = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower(), by_key, count, 0.6)
    return tuple(by_key[key] for key in found)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _unknown_table(name: str, schema: Schema) -> Problem:
    names = [table.name for table in schema.tables]
    if not names:
        return Problem("unknown-table", f"There is no table {name!r}: the file has no tables.")
    if near := nearest(name, names):
        message = f"There is no table {name!r}. Did you mean {' or '.join(near)}?"
    else:
        message = f"There is no table {name!r}. The tables are: {_listed(names)}."
    return Problem("unknown-table", message, near)


def _unknown_function(name: str) -> Problem:
    from t2sql_tui.core.database.authorizer import FUNCTIONS

    instead = {
        "year": "strftime('%Y', x)",
        "month": "strftime('%m', x)",
        "now": "datetime('now')",
        "day": "strftime('%d', x)",
        "left": "substr(x, 1, n)",
        "right": "substr(x, -n)",
        "concat": "x || y",
        "isnull": "ifnull",
        "len": "length",
        "to_char": "strftime",
        "curdate": "date('now')",
        "getdate": "date('now')",
        "datediff": "julianday(x) - julianday(y)",
        "regexp": "LIKE or GLOB",
        "std": "",
        "stddev": "",
    }
    best = instead.get(name.lower())
    near = (best,) if best else nearest(name, FUNCTIONS)
    hint = f" Use {' or '.join(near)}." if near else ""
    return Problem("unknown-function", f"SQLite has no function {name!r}.{hint}", near)


def _ambiguous(name: str, tree: exp.Expression | None, schema: Schema) -> Problem:
    owners = tuple(
        dict.fromkeys(
            f"{alias}.{name}"
            for scope in scopes(tree)
            for alias, source in scope.sources.items()
            if (table := schema.table(_table_name(source))) and _has(table, name)
        )
    )
    message = f"{name!r} could be a column of several tables"
    if owners:
        message += f": write {' or '.join(owners)}"
    return Problem("ambiguous", f"{message}.", owners)


def _owners(column: str, schema: Schema) -> Iterator[tuple[Table, Column]]:
    """Where a column of that name exists."""
    wanted = column.lower()
    for table in schema.tables:
        for found in table.columns:
            if found.name.lower() == wanted:
                yield table, found


def _unknown_column(
    name: str, schema: Schema, table: Table | None = None, alias: str = ""
) -> Problem:
    """A column that does not exist in `table`, or in any table of the query."""
    bare = name.rpartition(".")[2]
    owners = tuple(f"{t.name}.{c.name}" for t, c in _owners(bare, schema) if t is not table)
    if table is None:
        said = f"There is no column {name!r} in the tables of this query."
    else:
        known_as = f" (here {alias})" if alias and alias.lower() != table.name.lower() else ""
        said = f"Table {table.name!r}{known_as} has no column {bare!r}."
    here = nearest(bare, [c.name for c in table.columns]) if table else ()
    if owners:
        told = owners[:3]
        said += f" There is {' and '.join(told)}: join that table."
        return Problem("unknown-column", said, told + here)
    if table is None:
        here = nearest(bare, [c.name for t in schema.tables for c in t.columns])
        told = tuple(f"{t.name}.{c.name}" for n in here for t, c in _owners(n, schema))[:4]
    else:
        told = here
    if told:
        said += f" Did you mean {' or '.join(told)}?"
    elif table is not None:
        said += f" Its columns are: {_listed(c.name for c in table.columns)}."
    return Problem("unknown-column", said, told)


def _unknown_names(tree: exp.Expression | None, schema: Schema) -> tuple[Problem, ...]:
    """Every table and column that does not exist.

    Says nothing where it is not sure: of columns from subqueries, table-valued functions
    and unknown tables, and of double-quoted names, which SQLite takes for strings.
    """
    problems: dict[Problem, None] = {}
    for scope in scopes(tree):
        for source in scope.sources.values():
            if (name := _table_name(source)) and schema.table(name) is None:
                if not name.lower().startswith(("pragma_", "sqlite_", "json_", "dbstat")):
                    problems[_unknown_table(name, schema)] = None
        for column in scope.columns:
            if problem := _column_problem(column, scope, schema):
                problems[problem] = None
    return tuple(problems)


def _misspelled_in_quotes(tree: exp.Expression | None, schema: Schema) -> tuple[Problem, ...]:
    """`SELECT "nmae" FROM people`: no such column, so SQLite answers the text 'nmae'.

    Only for a name that stands alone in SELECT, GROUP BY or ORDER BY and is spelled nearly
    like a column; elsewhere, and otherwise, a double-quoted text is somebody's habit.
    """
    from sqlglot import exp

    problems: dict[Problem, None] = {}
    for scope in scopes(tree):
        if not isinstance(scope.expression, exp.Select):
            continue
        group, order = scope.expression.args.get("group"), scope.expression.args.get("order")
        places = list(scope.expression.expressions)
        places += group.expressions if group else []
        places += [item.this for item in order.expressions] if order else []
        for place in places:
            if isinstance(place, exp.Column) and place.this.quoted and not place.table:
                problem = _bare_column_problem(place, scope, schema)
                if problem and problem.suggestions:
                    found = problem.suggestions[0].rpartition(".")[2].lower()
                    if difflib.SequenceMatcher(None, place.name.lower(), found).ratio() >= 0.75:
                        problems[problem] = None
    return tuple(problems)


def _table_name(source: object) -> str:
    """The name of a stored table, or "" for a subquery, a CTE or a function."""
    from sqlglot import exp

    if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
        return source.name
    return ""


def _column_problem(column: exp.Column, scope: Scope, schema: Schema) -> Problem | None:
    from sqlglot import exp

    if isinstance(column.this, exp.Star) or column.name.lower() in ("rowid", "oid", "_rowid_"):
        return None
    if not column.table:
        return None if column.this.quoted else _bare_column_problem(column, scope, schema)
    for name, source in _visible(scope):
        if name.lower() == column.table.lower():
            table = schema.table(_table_name(source))
            if table is None or _has(table, column.name):
                return None
            return _unknown_column(column.name, schema, table, column.table)
    return _unknown_alias(column, scope, schema)


def _bare_column_problem(column: exp.Column, scope: Scope, schema: Schema) -> Problem | None:
    """A column written without a table: it may be of any source, here or further out."""
    if _is_alias(column, scope):
        return None
    tables = []
    for _, source in _visible(scope):
        table = schema.table(_table_name(source))
        if table is None or _has(table, column.name):
            return None
        tables.append(table)
    only = tables[0] if len(tables) == 1 else None
    return _unknown_column(column.name, schema, only) if tables else None


def _visible(scope: Scope) -> Iterator[tuple[str, object]]:
    """(alias, source) of a SELECT and of those around it, innermost first."""
    at: Scope | None = scope
    while at is not None:
        yield from at.sources.items()
        at = at.parent


def _has(table: Table, column: str) -> bool:
    wanted = column.lower()
    return any(found.name.lower() == wanted for found in table.columns)


def _is_alias(column: exp.Column, scope: Scope) -> bool:
    """Is it a name that a SELECT list gives (`count(*) AS n ... ORDER BY n`)?"""
    from sqlglot import exp

    at: Scope | None = scope
    while at is not None:
        for item in getattr(at.expression, "selects", ()):
            if isinstance(item, exp.Alias) and item.alias.lower() == column.name.lower():
                return True
        at = at.parent
    return False


def _unknown_alias(column: exp.Column, scope: Scope, schema: Schema) -> Problem:
    """`T3.name` where the query has no T3."""
    known = tuple(scope.sources)
    here = tuple(
        f"{alias}.{column.name}"
        for alias, source in scope.sources.items()
        if (owner := schema.table(_table_name(source))) and _has(owner, column.name)
    )
    table = schema.table(column.table)
    if table is not None and _has(table, column.name):
        said = f"{column.sql()} is used, but {table.name} is not in FROM: join it."
    else:
        said = f"{column.sql()} is used, but nothing is called {column.table!r}."
        owners = here or [f"{t.name}.{c.name}" for t, c in _owners(column.name, schema)]
        if owners:
            said += f" There is {' and '.join(owners[:3])}."
    if known:
        said += f" FROM has: {_listed(known)}."
    return Problem("unknown-column", said, here or nearest(column.table, known))
