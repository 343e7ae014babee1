"""Which stored column a name in a SQL stands for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.tree import from_clause
from t2sql_tui.core.types import Column, Schema, Table


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of the file. `source` is what its table is called in the SQL; `outer` says that no
    table of the innermost SELECT has it, but one of a SELECT around that."""

    table: Table
    column: Column
    source: str
    outer: bool = False


class ColumnResolver:
    """Finds the stored columns of one tree."""

    def __init__(self, tree: exp.Expr, schema: Schema) -> None:
        self._schema = schema
        self._ctes = {folded(cte.alias) for cte in tree.find_all(exp.CTE)}
        self._sources: dict[int, list[tuple[str, Table | None]]] = {}

    def resolve(self, column: exp.Column) -> StoredColumn | None:
        """What `column` stands for; None where a subquery made it, or where it is not sure."""
        name, qualifier = folded(column.name), folded(column.table)
        select, outer = column.find_ancestor(exp.Select), False
        while select is not None:
            if not qualifier and name in _aliases(select):
                return None
            sources = self.sources(select)
            named = [s for s in sources if not qualifier or s[0] == qualifier]
            if any(table is None for _, table in named):
                return None
            for source, table in named:
                found = table and next((c for c in table.columns if folded(c.name) == name), None)
                if table and found:
                    return StoredColumn(table, found, source, outer)
            if named and qualifier:
                return None
            select, outer = select.find_ancestor(exp.Select), True
        return None

    def sources(self, select: exp.Select) -> list[tuple[str, Table | None]]:
        """The tables of FROM by what they are called there; None for what is not stored."""
        if id(select) not in self._sources:
            clause = from_clause(select)
            joins = select.args.get("joins") or ()
            nodes = [clause.this, *(join.this for join in joins)] if clause else []
            self._sources[id(select)] = [
                (folded(node.alias_or_name), self._table(node)) for node in nodes
            ]
        return self._sources[id(select)]

    def _table(self, node: exp.Expr) -> Table | None:
        if not isinstance(node, exp.Table) or folded(node.name) in self._ctes:
            return None
        return self._schema.table(node.name)


def _aliases(select: exp.Select) -> set[str]:
    """The names that a SELECT itself gives to other than columns of that name."""
    return {
        folded(node.alias)
        for node in select.expressions
        if isinstance(node, exp.Alias) and folded(node.this.name) != folded(node.alias)
    }
