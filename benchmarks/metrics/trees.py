"""sqlglot's tree of a SQL text that anyone may have written, and questions about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from t2sql_tui.core.sql.tree import PARSER_ERRORS, from_clause
from t2sql_tui.core.types import Schema


def parsed(sql: str) -> exp.Expr | None:
    """The tree of the only statement in `sql`; None if there is no tree for it."""
    try:
        trees = sqlglot.parse(sql, read="sqlite")
    except PARSER_ERRORS:
        return None
    return trees[0] if len(trees) == 1 else None


def resolve_columns(tree: exp.Expr, schema: Schema) -> None:
    """Write every column as one lower-case name "table.column", and as a text what SQLite
    takes for one: a double-quoted name that is no column. The tree no longer runs."""
    found = [(column, owner(column, schema)) for column in tree.find_all(exp.Column)]
    for column, table in found:
        if table is None and column.this.quoted and not column.table:
            column.replace(exp.Literal.string(column.name))
        elif isinstance(column.this, exp.Identifier):
            name = f"{table}.{column.name}" if table else column.name
            column.replace(exp.column(name.lower()))


def owner(column: exp.Column, schema: Schema) -> str | None:
    """The stored table that a column is of, as the FROM clauses around it say; None for
    columns of subqueries and for what is no column at all."""
    select = column.find_ancestor(exp.Select)
    while select is not None:
        for alias, name in _sources(select):
            table = schema.table(name)
            if column.table and column.table.lower() != alias:
                continue
            if table and any(c.name.lower() == column.name.lower() for c in table.columns):
                return table.name
        select = select.find_ancestor(exp.Select)
    return None


def _sources(select: exp.Select) -> Iterator[tuple[str, str]]:
    """(alias, table) of the tables in FROM and JOIN."""
    clause = from_clause(select)
    sources = [clause.this] if clause else []
    sources += [join.this for join in select.args.get("joins") or ()]
    for source in sources:
        if isinstance(source, exp.Table):
            yield source.alias_or_name.lower(), source.name


def joined_pairs(tree: exp.Expr) -> Iterator[frozenset[str]]:
    """Pairs of resolved columns that are set equal, by `=` or by `IN (SELECT ...)`."""
    for equal in tree.find_all(exp.EQ):
        if isinstance(equal.left, exp.Column) and isinstance(equal.right, exp.Column):
            yield frozenset((equal.left.name, equal.right.name))
    for member in tree.find_all(exp.In):
        query = member.args.get("query")
        if query is not None and isinstance(member.this, exp.Column):
            for output in query.unnest().selects[:1]:
                yield frozenset((member.this.name, output.name))


_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Glob, exp.Is)


def comparisons(
    tree: exp.Expr,
) -> Iterator[tuple[exp.Expr, exp.Expr, list[exp.Expr]]]:
    """(condition, left side, what it is compared with); a constant is never on the left."""
    for node in tree.find_all(*_COMPARISONS, exp.Between, exp.In):
        this: exp.Expr = node.this
        values: list[exp.Expr]
        if isinstance(node, exp.Between):
            values = [node.args["low"], node.args["high"]]
        elif isinstance(node, exp.In):
            values = [node.args["query"]] if node.args.get("query") else node.expressions
        else:
            values = [node.expression]
            if isinstance(this, exp.Literal):
                this, values = node.expression, [this]
        if values:
            yield node, this, values


def columns_read(sql: str, columns: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """Of the tables in `columns`, those that `sql` reads, each with the columns of it that `sql`
    names: those qualified by the table, and the unqualified ones in every table that has a column
    of that name. All in lower case; nothing where sqlglot cannot read the SQL."""
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except SqlglotError:
        return {}
    tables = [(t.name.lower(), t.alias_or_name.lower()) for t in tree.find_all(exp.Table)]
    read: dict[str, set[str]] = {name: set() for name, _ in tables if name in columns}
    for column in tree.find_all(exp.Column):
        name, owner = column.name.lower(), column.table.lower()
        for table, alias in tables:
            if name in columns.get(table, ()) and owner in ("", alias):
                read[table].add(name)
    return read
