"""One style for gold SQL, and its way into other dialects. Nothing here proves that a
rewritten query is the same one: data.py runs both."""

from __future__ import annotations

from functools import cache

from t2sql_tui.core.types import Schema


@cache
def _writer():
    """SQLite as Spider writes it: `!=`, `x NOT IN (...)`, and no quotes without need."""
    from sqlglot import exp
    from sqlglot.dialects.sqlite import SQLite

    class Writer(SQLite.Generator):
        def neq_sql(self, expression) -> str:
            return self.binary(expression, "!=")

        def not_sql(self, expression) -> str:
            inner = expression.this
            word = {exp.In: " IN ", exp.Like: " LIKE ", exp.Between: " BETWEEN "}.get(type(inner))
            text = self.sql(inner)
            if word and text.count(word) == 1:
                return text.replace(word, f" NOT{word}")
            if isinstance(inner, exp.Is) and text.endswith(" IS NULL"):
                return text.removesuffix(" IS NULL") + " IS NOT NULL"
            return super().not_sql(expression)

    return Writer()


def normalise(sql: str, schema: Schema) -> str:
    """`sql` with keywords in capitals, single spaces, names as stored, texts in single
    quotes, and table aliases T1, T2, ... in the order of FROM.

    Raises: ValueError if sqlglot cannot read it.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql.strip().rstrip(";"), read="sqlite")
    except SqlglotError as error:
        raise ValueError(str(error)) from error
    _quote_texts(tree, schema)
    _spell_as_stored(tree, schema)
    _rename_aliases(tree)
    return _writer().generate(tree)


def _quote_texts(tree, schema: Schema) -> None:
    """SQLite takes "France" for a text where no column has that name; sqlglot does not."""
    from sqlglot import exp

    known = {c.name.lower() for t in schema.tables for c in t.columns}
    known |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for column in list(tree.find_all(exp.Column)):
        name = column.this
        if not column.table and name.args.get("quoted") and name.name.lower() not in known:
            column.replace(exp.Literal.string(name.name))


def _spell_as_stored(tree, schema: Schema) -> None:
    """Gives every name the spelling it has in the schema, unless the tables that it may
    belong to spell it differently."""
    from sqlglot import exp

    made = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    read: dict[str, list] = {}  # alias or name -> the tables that it stands for
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
        if owner and schema.table(owner) and owner in read:
            column.set("table", _identifier(schema.table(owner).name))
    for paren in list(tree.find_all(exp.Paren)):
        if isinstance(paren.this, exp.Column) and isinstance(paren.parent, exp.Select):
            paren.replace(paren.this)  # SELECT DISTINCT (name)


def _identifier(name: str):
    from sqlglot import exp

    from t2sql_tui.core.names import quote_identifier

    return exp.to_identifier(name, quoted=quote_identifier(name) != name)


def _rename_aliases(tree) -> None:
    """Calls the aliased tables of each SELECT T1, T2, ..., as Spider does: a nested SELECT
    starts again at T1. Where one reads a table of its outer query, all names stay."""
    from sqlglot import exp

    renamed: dict[int, str] = {}  # id of a column node -> its new table
    aliases = []
    for select in reversed(list(tree.find_all(exp.Select))):  # inner ones first
        sources = [select.args.get("from_"), *(select.args.get("joins") or [])]
        named = {s.this.alias_or_name.lower(): s.this for s in sources if s is not None}
        new = {}
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


def transpile(sql: str, read: str, write: str) -> str:
    """`sql` in another dialect. Raises: ValueError if it has no counterpart there."""
    import sqlglot
    from sqlglot.errors import SqlglotError

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
    """Lower-case names of the schema's tables that `sql` reads; all of them if sqlglot
    cannot read it."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    known = {table.name.lower() for table in schema.tables}
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except SqlglotError:
        return known
    return {table.name.lower() for table in tree.find_all(exp.Table)} & known
