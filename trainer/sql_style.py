"""One style for gold SQL, and SQL in other dialects.

Nothing here proves that a rewritten query is equivalent: examples.py runs both.
"""

from __future__ import annotations

from collections import Counter

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.generators.sqlite import SQLiteGenerator
from sqlglot.optimizer.scope import Scope, traverse_scope

from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.sql.tree import from_clause, parse
from t2sql_tui.core.types import Schema, Table


class _SpiderWriter(SQLiteGenerator):
    """SQLite as Spider writes it: `!=`, `x NOT IN (...)`, and no unnecessary quotes."""

    def neq_sql(self, expression: exp.NEQ) -> str:
        return self.binary(expression, "!=")

    def not_sql(self, expression: exp.Not) -> str:
        inner = expression.this
        word = {exp.In: " IN ", exp.Like: " LIKE ", exp.Between: " BETWEEN "}.get(type(inner))
        text = self.sql(inner)
        if word and text.count(word) == 1:
            return text.replace(word, f" NOT{word}")
        if isinstance(inner, exp.Is) and text.endswith(" IS NULL"):
            return text.removesuffix(" IS NULL") + " IS NOT NULL"
        return super().not_sql(expression)


def _written(tree: exp.Expression) -> str:
    # The dialect is named because the default one guards every division with NULLIF.
    return _SpiderWriter(dialect="sqlite").generate(tree)


def _parsed(sql: str) -> exp.Expression:
    tree = parse(sql.strip().rstrip(";"))
    if tree is None:
        raise ValueError(f"sqlglot cannot read {sql!r}")
    return tree


def by_aliases(sql: str, schema: Schema) -> str:
    """`sql` with table aliases T1, T2, ... in the order of FROM, as Spider writes it.

    Keywords are in capitals, names spelled as stored, texts in single quotes.
    Raises: ValueError if sqlglot cannot read it.
    """
    tree = _parsed(sql)
    _quote_texts(tree, schema)
    _spell_as_stored(tree, schema)
    _rename_aliases(tree)
    return _written(tree)


def _quote_texts(tree: exp.Expression, schema: Schema) -> None:
    """Turns "France" into a text if no column has that name, as SQLite reads it."""
    known = {c.name.lower() for t in schema.tables for c in t.columns}
    known |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for column in list(tree.find_all(exp.Column)):
        name = column.this
        if not column.table and name.args.get("quoted") and name.name.lower() not in known:
            column.replace(exp.Literal.string(name.name))


def _spell_as_stored(tree: exp.Expression, schema: Schema) -> None:
    """Spells every name as the schema does, unless the tables it may belong to differ."""
    made = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    read: dict[str, list[Table]] = {}  # alias or name -> the tables that it stands for
    for table in tree.find_all(exp.Table):
        stored = schema.table(table.name)
        if stored:
            read.setdefault(table.alias_or_name.lower(), []).append(stored)
            table.set("this", _identifier(stored.name))
    for column in tree.find_all(exp.Column):
        name, owner = column.name.lower(), column.table.lower()
        owners = read.get(owner, []) if owner else [t for ts in read.values() for t in ts]
        spellings = {c.name for t in owners for c in t.columns if c.name.lower() == name}
        if len(spellings) == 1 and name not in made:
            column.set("this", _identifier(*spellings))
        if owner in read and (stored := schema.table(owner)):
            column.set("table", _identifier(stored.name))
    for paren in list(tree.find_all(exp.Paren)):
        if isinstance(paren.this, exp.Column) and isinstance(paren.parent, exp.Select):
            paren.replace(paren.this)  # SELECT DISTINCT (name)


def _identifier(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=quote_identifier(name) != name)


def _rename_aliases(tree: exp.Expression) -> None:
    """Calls the aliased tables of each SELECT T1, T2, ..., as Spider does.

    A nested SELECT starts again at T1. If one reads a table of its outer query, all names stay.
    """
    renamed: dict[int, str] = {}  # id of a column node -> its new table
    aliases = []
    for select in reversed(list(tree.find_all(exp.Select))):  # inner ones first
        sources = [from_clause(select), *(select.args.get("joins") or [])]
        named = {s.this.alias_or_name.lower(): s.this for s in sources if s is not None}
        new: dict[str, str] = {}
        for old, source in named.items():
            if isinstance(source, (exp.Table, exp.Subquery)) and source.alias:
                new[old] = f"T{len(new) + 1}"
                aliases.append((source, new[old]))
        for column in select.find_all(exp.Column):
            if not column.table or id(column) in renamed:
                continue
            if column.table.lower() not in named:
                return
            renamed[id(column)] = new.get(column.table.lower(), column.table)
    for column in tree.find_all(exp.Column):
        if column.table and renamed.get(id(column), column.table) != column.table:
            column.set("table", exp.to_identifier(renamed[id(column)]))
    for source, name in aliases:
        source.set("alias", exp.TableAlias(this=exp.to_identifier(name)))


def by_names(sql: str, schema: Schema) -> str:
    """`sql` without unnecessary aliases, which is easier for small models.

    A model that writes `T2.name` before `JOIN singer AS T2` must plan ahead; one that writes
    `singer.name` copies a name from the schema. A table that occurs once goes by its own name;
    columns are qualified if several tables are in scope, and bare if there is one.

    Raises: ValueError if sqlglot cannot read it.
    """
    tree = _parsed(sql)
    try:
        scopes = traverse_scope(tree)
    except SqlglotError as error:
        raise ValueError(str(error)) from error
    for table in tree.find_all(exp.Table):
        if stored := schema.table(table.name):
            table.set("this", _identifier(stored.name))
    resolved: set[int] = set()
    for scope in scopes:  # innermost first: what an inner scope resolved is none of the outer's
        _resolve_columns(scope, schema, resolved)
    for scope in scopes:
        _drop_aliases(scope, scopes)
    return _written(tree)


def _sources(scope: Scope) -> dict[str, exp.Table]:
    """The tables of this scope by their alias or name, in lower case."""
    return {n.lower(): s for n, s in scope.sources.items() if isinstance(s, exp.Table)}


def _resolve_columns(scope: Scope, schema: Schema, resolved: set[int]) -> None:
    """Spells columns as the schema does, qualifies them where that is needed, and turns
    double-quoted text that names no column into a string, as SQLite reads it."""
    query = scope.expression
    outputs = (
        {e.alias.lower() for e in query.selects if e.alias}
        if isinstance(query, exp.Query)
        else set()
    )
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
        elif (
            column.this.quoted
            and not column.table
            and not derived
            and column.name.lower() not in outputs
        ):
            column.replace(exp.Literal.string(column.name))


def _find(column: exp.Column, scope: Scope, schema: Schema) -> tuple[str, exp.Table, Scope] | None:
    """The column's spelling, its table and that table's scope, searched outwards as in SQLite."""
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
    """Calls each table of `scope` by its own name where that stays unambiguous."""
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


STYLES = {"names": by_names, "aliases": by_aliases}


def transpile(sql: str, read: str, write: str) -> str:
    """`sql` in another dialect. Raises: ValueError if it has no counterpart there."""
    if read == write:
        return sql
    try:
        (out,) = sqlglot.transpile(
            sql, read=read, write=write, unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    except (SqlglotError, ValueError) as error:
        raise ValueError(str(error)) from error
    return out


def tables_of(sql: str, schema: Schema) -> set[str]:
    """Lower-case names of the schema's tables that `sql` reads; all if sqlglot cannot read it."""
    known = {table.name.lower() for table in schema.tables}
    tree = parse(sql)
    if tree is None:
        return known
    return {table.name.lower() for table in tree.find_all(exp.Table)} & known
