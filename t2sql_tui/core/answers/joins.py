"""How a SELECT joins its tables: joins that no key says, and joins that repeat what is added up.

The first error of small models beyond names: two tables are joined directly that are linked
through a third. The columns exist and the SQL runs, and pairs rows that do not belong together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.english import without_plural_s
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.tree import from_clause
from t2sql_tui.core.types import CheckedQuery, Limits, Schema, Table

_ColumnName = tuple[str, str]  # table and column, in lower case

LOOK_LIMITS = Limits(rows=1, seconds=0.3)  # for a look into the rows

# --- joins that no key says -----------------------------------------------------------------


def unlinked_joins(
    select: exp.Select, schema: Schema
) -> Iterator[tuple[exp.Join, exp.Column, exp.Column]]:
    """The joins of two tables that both have keys, on columns of different names of which
    neither a key nor the name (restaurant_id for the id of restaurants) says that they hold the
    same; each with the two columns of its first condition."""
    targets = _key_targets(schema)
    tables = {folded(t.alias_or_name): folded(t.name) for t in select.find_all(exp.Table)}
    with_keys = {table for table, _ in targets}

    def column_name(column: exp.Column) -> _ColumnName:
        return tables.get(folded(column.table), ""), folded(column.name)

    for join in select.args.get("joins") or ():
        conditions = [
            (on.left, on.right)
            for on in (join.args["on"].find_all(exp.EQ) if join.args.get("on") else ())
            if isinstance(on.left, exp.Column) and isinstance(on.right, exp.Column)
        ]
        pairs = [(column_name(left), column_name(right)) for left, right in conditions]
        if pairs and not any(
            one[1] == two[1]
            or _is_named_after(one, two)
            or _is_named_after(two, one)
            or not {one[0], two[0]} <= with_keys
            or targets.get(one, {one}) & targets.get(two, {two})
            for one, two in pairs
        ):
            yield join, *conditions[0]


def _is_named_after(one: _ColumnName, two: _ColumnName) -> bool:
    """Whether column `one` is called as the table and column `two` are: order_id, orders.id."""
    table, column = two
    return one[1] in (f"{table}_{column}", f"{without_plural_s(table)}_{column}")


@lru_cache(4)
def _key_targets(schema: Schema) -> dict[_ColumnName, set[_ColumnName]]:
    """What each column that takes part in a key stands for: what it points at, and itself."""
    targets: dict[_ColumnName, set[_ColumnName]] = defaultdict(set)
    for table in schema.tables:
        for key in table.foreign_keys:
            for name, ref_name in zip(key.columns, key.ref_columns, strict=True):
                ref = folded(key.table), folded(ref_name)
                targets[folded(table.name), folded(name)].add(ref)
                targets[ref].add(ref)
    return dict(targets)


# --- joins that repeat rows -------------------------------------------------------------------


def repeats_rows(select: exp.Select, context: AnswerContext) -> bool:
    """Whether a sum or an average of one table's columns takes some of its rows several times,
    because a join repeats them: the mean balance of customers, each counted once a loan. Looked
    up in the rows; False where that takes too long."""
    group = select.args.get("group")
    keys = group.expressions if group else []
    tables = joined_tables(select, context.schema)
    if len(tables) < 2 or any(isinstance(key, exp.Literal) for key in keys):
        return False
    for owner in {owner_of(added, tables) for added in added_up(select)} - {""}:
        table = tables[owner][1]
        if table.kind != "table":
            continue
        row = [
            exp.column(name, table=owner, quoted=True)
            for name in [c.name for c in table.columns if c.primary_key] or ["rowid"]
        ]
        look = exp.select("1").limit(1)
        copy_source(select, look)
        look = look.group_by(*(key.copy() for key in keys), *row)
        look = look.having("count(*) > 1").having(exp.not_(row[0].copy().is_(exp.null())))
        if finds_rows(look.sql(dialect="sqlite"), context):
            return True
    return False


def finds_rows(sql: str, context: AnswerContext, if_stopped: bool = False) -> bool:
    """Whether a SELECT finds any row, as far as can be seen in a moment. `if_stopped` is the
    answer where it cannot."""
    query = check(sql, context.database)
    if not isinstance(query, CheckedQuery):
        return False
    try:
        return bool(context.database.run(query, LOOK_LIMITS, context.should_stop).rows)
    except QueryStopped:
        return if_stopped
    except DatabaseError:
        return False


# --- the parts of a SELECT ----------------------------------------------------------------------

#: Which rows a SELECT is about, as sqlglot calls the parts. (sqlglot 28 renamed "from".)
SOURCE_PARTS = ("from", "from_", "joins", "where")


def copy_source(select: exp.Select, onto: exp.Select) -> None:
    """Give the SELECT `onto` copies of the FROM, joins and WHERE of `select`."""
    for part in SOURCE_PARTS:
        if node := select.args.get(part):
            onto.set(part, [join.copy() for join in node] if part == "joins" else node.copy())


def joined_tables(select: exp.Select, schema: Schema) -> dict[str, tuple[exp.Table, Table]]:
    """The tables of FROM by what they are called; none where something else stands there."""
    source = from_clause(select)
    nodes = [source.this, *(join.this for join in select.args.get("joins") or ())] if source else []
    tables = {}
    for node in nodes:
        table = schema.table(node.name) if isinstance(node, exp.Table) else None
        if table is None:
            return {}
        tables[folded(node.alias_or_name)] = node, table
    return tables


def added_up(select: exp.Select) -> Iterator[exp.Expr]:
    """The sums and averages of `select` itself that repeated rows change."""
    for node in select.find_all(exp.Sum, exp.Avg):
        if node.find_ancestor(exp.Select) is select and not isinstance(node.this, exp.Distinct):
            yield node


def owner_of(node: exp.Expr, tables: dict[str, tuple[exp.Table, Table]]) -> str:
    """What the one table is called whose columns `node` names; "" for several, or none."""
    owners = set()
    for column in node.find_all(exp.Column):
        if column.table:
            owners.add(folded(column.table))
        else:
            name = folded(column.name)
            owners |= {
                called
                for called, (_, table) in tables.items()
                if any(folded(c.name) == name for c in table.columns)
            }
    return owners.pop() if len(owners) == 1 and owners <= set(tables) else ""
