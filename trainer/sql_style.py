"""The SQL a model is taught to write: one style, without aliases where none is needed.

A small model that writes `T2.name` before it has written `JOIN singer AS T2` must plan
ahead; one that writes `singer.name` copies a name from the schema. So gold queries are
rewritten: a table that occurs once goes by its own name, columns are qualified where
several tables are in scope and bare where there is one, names have the schema's own case,
strings stand in single quotes, keywords in capitals.

Whether a rewrite kept its meaning is for the caller to prove by execution.
"""

from __future__ import annotations

from collections import Counter

from sqlglot import exp, parse_one
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from t2sql_tui.core.names import quote_identifier
from t2sql_tui.core.types import Schema


class _Style(SQLite):
    """SQLite as people write it: `x NOT IN (...)`, `!=`. Both are Spider's own forms."""

    class Generator(SQLite.Generator):
        def not_sql(self, expression: exp.Not) -> str:
            inner = expression.this
            if isinstance(inner, exp.In) and not inner.args.get("unnest"):
                left = self.sql(inner, "this")
                return self.in_sql(inner).replace(f"{left} IN ", f"{left} NOT IN ", 1)
            if isinstance(inner, exp.Like):
                return f"{self.sql(inner, 'this')} NOT LIKE {self.sql(inner, 'expression')}"
            if isinstance(inner, exp.Is):
                return f"{self.sql(inner, 'this')} IS NOT {self.sql(inner, 'expression')}"
            if isinstance(inner, exp.Between):
                low, high = self.sql(inner, "low"), self.sql(inner, "high")
                return f"{self.sql(inner, 'this')} NOT BETWEEN {low} AND {high}"
            return super().not_sql(expression)

        def neq_sql(self, expression: exp.NEQ) -> str:
            return self.binary(expression, "!=")


def house_style(sql: str, schema: Schema) -> str:
    """`sql` in the house style.

    Raises: ValueError where sqlglot cannot parse it.
    """
    try:
        tree = parse_one(sql.strip().rstrip(";"), dialect="sqlite")
        scopes = traverse_scope(tree)
    except SqlglotError as error:
        raise ValueError(f"cannot parse: {sql}") from error
    _spell_tables(tree, schema)
    resolved: set[int] = set()
    for scope in scopes:  # innermost first: what an inner scope resolved is none of the outer's
        _resolve_columns(scope, schema, resolved)
    for scope in scopes:
        _drop_aliases(scope, scopes)
    return tree.sql(dialect=_Style, comments=False)


def _identifier(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=quote_identifier(name) != name)


def _spell_tables(tree: exp.Expression, schema: Schema) -> None:
    for table in tree.find_all(exp.Table):
        known = schema.table(table.name)
        if known:
            table.set("this", _identifier(known.name))


def _sources(scope: Scope) -> dict[str, exp.Table]:
    """The tables of this scope by the name they go by, in lower case."""
    return {n.lower(): s for n, s in scope.sources.items() if isinstance(s, exp.Table)}


def _resolve_columns(scope: Scope, schema: Schema, resolved: set[int]) -> None:
    """Spell columns as the schema does, qualify them where that is needed, and turn
    double-quoted text that names no column into the string that SQLite takes it for."""
    query = scope.expression
    outputs = {e.alias.lower() for e in query.selects if e.alias} if isinstance(query, exp.Query) else set()
    derived = any(not isinstance(s, exp.Table) for s in scope.sources.values())
    for column in scope.columns:
        if isinstance(column.this, exp.Star) or column.args.get("db") or id(column) in resolved:
            continue
        resolved.add(id(column))
        found = _find(column, scope, schema)
        if found:
            spelled, source, where = found
            column.set("this", _identifier(spelled))
            bare = where is scope and len(scope.sources) == 1
            column.set("table", None if bare else _identifier(source.alias_or_name))
        elif column.this.quoted and not column.table and not derived and column.name.lower() not in outputs:
            column.replace(exp.Literal.string(column.name))


def _find(column: exp.Column, scope: Scope, schema: Schema) -> tuple[str, exp.Table, Scope] | None:
    """The column's spelling, its table and that table's scope; outwards, as SQLite looks."""
    here: Scope | None = scope
    while here is not None:
        for name, source in _sources(here).items():
            table = schema.table(source.name)
            if table and column.table.lower() in ("", name):
                for known in table.columns:
                    if known.name.lower() == column.name.lower():
                        return known.name, source, here
        here = here.parent
    return None


def _drop_aliases(scope: Scope, scopes: list[Scope]) -> None:
    """Call each table of `scope` by its own name where that stays unambiguous."""
    inner = [s for s in scopes if _inside(s, scope)]
    times = Counter(source.name.lower() for source in _sources(scope).values())
    for alias, source in _sources(scope).items():
        name = source.name.lower()
        if not source.alias or times[name] > 1:
            continue
        users = [scope, *(s for s in inner if any(c.table.lower() == alias for c in s.columns))]
        if any(t.name.lower() == name for s in users[1:] for t in _sources(s).values()):
            continue  # a correlated subquery reads the same table: the name would be its own
        for user in users:
            for column in user.expression.find_all(exp.Column):
                if column.table.lower() == alias:
                    column.set("table", _identifier(source.name))
        source.set("alias", None)


def _inside(scope: Scope, ancestor: Scope) -> bool:
    here = scope.parent
    while here is not None:
        if here is ancestor:
            return True
        here = here.parent
    return False
