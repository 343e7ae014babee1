"""Why SQLite refused a statement, in words from which a person or a model can mend it.

SQLite stops at the first wrong name; sqlglot's tree finds them all at once, and knows which table
an alias stands for.
"""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from t2sql_tui.core.database.authorizer import FUNCTIONS
from t2sql_tui.core.database.capabilities import functions, needs
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.tree import parse, scopes
from t2sql_tui.core.types import Column, Problem, Schema, Table

_LISTED = 12  # names listed in one message


def problems_of(statement: str, error: str, schema: Schema) -> tuple[Problem, ...]:
    """Why SQLite refused a statement with this message; at least one problem."""
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
    if error.startswith("unknown function: "):  # not the statement's own: that is "no such"
        return Problem(
            "other", f"A column that the query reads cannot be computed: {needs(error)}."
        )
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
    if statement.count(token) != 1:
        return f"Syntax error near {token!r}."
    before = " ".join(statement[: statement.index(token)].split()[-4:])
    return f"Syntax error near {token!r}" + (f", after {before!r}." if before else ".")


# --- wrong names ------------------------------------------------------------------


def nearest(name: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The names most like `name`, best first; case does not count."""
    by_key = {candidate.lower(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.lower(), by_key, count, 0.6)
    return tuple(by_key[key] for key in matches)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def _unknown_table(name: str, schema: Schema) -> Problem:
    names = [table.name for table in schema.tables]
    if not names:
        return Problem("unknown-table", f"There is no table {name!r}: the file has no tables.")
    if near := nearest(name, names):
        message = f"There is no table {name!r}. Did you mean {' or '.join(near)}?"
    else:
        message = f"There is no table {name!r}. The tables are: {_listed(names)}."
    return Problem("unknown-table", message, near)


# What SQLite has instead of functions of other databases.
_INSTEAD = {
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
    # What SQLite has had for some versions only.
    "concat_ws": "x || y",
    "if": "iif",
    "string_agg": "group_concat",
    "octet_length": "length(CAST(x AS BLOB))",
    "timediff": "julianday(x) - julianday(y)",
    "median": "",
    "percentile": "",
    "percentile_cont": "",
    "percentile_disc": "",
}


def _unknown_function(name: str) -> Problem:
    best = _INSTEAD.get(folded(name))
    near = (best,) if best else () if best == "" else nearest(name, functions())
    hint = f" Use {' or '.join(near)}." if near else ""
    which = "SQLite"
    if folded(name) in FUNCTIONS:
        which = f"This SQLite ({sqlite3.sqlite_version}, older than the function)"
    return Problem("unknown-function", f"{which} has no function {name!r}.{hint}", near)


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


def _owners(name: str, schema: Schema) -> Iterator[tuple[Table, Column]]:
    """Each table that has a column of that name, and the column."""
    wanted = folded(name)
    for table in schema.tables:
        for column in table.columns:
            if folded(column.name) == wanted:
                yield table, column


def _unknown_column(
    name: str, schema: Schema, table: Table | None = None, alias: str = ""
) -> Problem:
    """A column that does not exist in `table`, or in any table of the query."""
    bare = name.rpartition(".")[2]
    owners = tuple(f"{t.name}.{c.name}" for t, c in _owners(bare, schema) if t is not table)
    if table is None:
        message = f"There is no column {name!r} in the tables of this query."
        near = nearest(bare, [c.name for t in schema.tables for c in t.columns])
        near = tuple(f"{t.name}.{c.name}" for n in near for t, c in _owners(n, schema))[:4]
    else:
        here = f" (here {alias})" if alias and folded(alias) != folded(table.name) else ""
        message = f"Table {table.name!r}{here} has no column {bare!r}."
        near = nearest(bare, [c.name for c in table.columns])
    if owners:
        message += f" There is {' and '.join(owners[:3])}: join that table."
        return Problem("unknown-column", message, owners[:3] + (near if table else ()))
    if near:
        message += f" Did you mean {' or '.join(near)}?"
    elif table is not None:
        message += f" Its columns are: {_listed([c.name for c in table.columns])}."
    return Problem("unknown-column", message, near)


def _unknown_names(tree: exp.Expression | None, schema: Schema) -> tuple[Problem, ...]:
    """Every table and column that does not exist.

    Says nothing where it is not sure: of columns from subqueries, table-valued functions
    and unknown tables, and of double-quoted names, which SQLite takes for strings.
    """
    problems: dict[Problem, None] = {}
    for scope in scopes(tree):
        for source in scope.sources.values():
            name = _table_name(source)
            built_in = name.lower().startswith(("pragma_", "sqlite_", "json_", "dbstat"))
            if name and not built_in and schema.table(name) is None:
                problems[_unknown_table(name, schema)] = None
        for column in scope.columns:
            if problem := _column_problem(column, scope, schema):
                problems[problem] = None
    return tuple(problems)


def misspelled_in_quotes(tree: exp.Expression | None, schema: Schema) -> tuple[Problem, ...]:
    """`SELECT "nmae" FROM people`: no such column, so SQLite answers the text 'nmae'.

    Only for a name that stands alone in SELECT, GROUP BY or ORDER BY and is spelled nearly
    like a column; elsewhere, and otherwise, a double-quoted text is somebody's habit.
    """
    problems: dict[Problem, None] = {}
    for scope in scopes(tree):
        for term in _bare_terms(scope.expression):
            if isinstance(term, exp.Column) and term.this.quoted and not term.table:
                problem = _bare_column_problem(term, scope, schema)
                if problem and problem.suggestions:
                    column = problem.suggestions[0].rpartition(".")[2].lower()
                    if difflib.SequenceMatcher(None, term.name.lower(), column).ratio() >= 0.75:
                        problems[problem] = None
    return tuple(problems)


def _bare_terms(select: exp.Expr) -> list[exp.Expr]:
    """The terms of SELECT, GROUP BY and ORDER BY."""
    if not isinstance(select, exp.Select):
        return []
    group, order = select.args.get("group"), select.args.get("order")
    terms = list(select.expressions)
    terms += group.expressions if group else []
    terms += [item.this for item in order.expressions] if order else []
    return terms


def _table_name(source: object) -> str:
    """The name of a stored table, or "" for a subquery, a CTE or a function."""
    if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
        return source.name
    return ""


def _column_problem(column: exp.Column, scope: Scope, schema: Schema) -> Problem | None:
    if isinstance(column.this, exp.Star) or folded(column.name) in ("rowid", "oid", "_rowid_"):
        return None
    if not column.table:
        return None if column.this.quoted else _bare_column_problem(column, scope, schema)
    for name, source in _visible(scope):
        if folded(name) == folded(column.table):
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
    for level in _outwards(scope):
        yield from level.sources.items()


def _outwards(scope: Scope) -> Iterator[Scope]:
    level: Scope | None = scope
    while level is not None:
        yield level
        level = level.parent


def _has(table: Table, column: str) -> bool:
    wanted = folded(column)
    return any(folded(c.name) == wanted for c in table.columns)


def _is_alias(column: exp.Column, scope: Scope) -> bool:
    """Whether a SELECT list gives it that name (`count(*) AS n ... ORDER BY n`)."""
    return any(
        isinstance(item, exp.Alias) and folded(item.alias) == folded(column.name)
        for level in _outwards(scope)
        for item in getattr(level.expression, "selects", ())
    )


def _unknown_alias(column: exp.Column, scope: Scope, schema: Schema) -> Problem:
    """`T3.name` where the query has no T3."""
    aliases = tuple(scope.sources)
    here = tuple(
        f"{alias}.{column.name}"
        for alias, source in scope.sources.items()
        if (owner := schema.table(_table_name(source))) and _has(owner, column.name)
    )
    table = schema.table(column.table)
    if table is not None and _has(table, column.name):
        message = f"{column.sql()} is used, but {table.name} is not in FROM: join it."
    else:
        message = f"{column.sql()} is used, but nothing is called {column.table!r}."
        owners = here or tuple(f"{t.name}.{c.name}" for t, c in _owners(column.name, schema))
        if owners:
            message += f" There is {' and '.join(owners[:3])}."
    if aliases:
        message += f" FROM has: {_listed(aliases)}."
    return Problem("unknown-column", message, here or nearest(column.table, aliases))
