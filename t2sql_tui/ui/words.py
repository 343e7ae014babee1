"""What the workbench says of a schema and of what a query reads."""

from __future__ import annotations

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.types import CheckedQuery, Schema
from t2sql_tui.ui.cells import one_line


def reads(query: object, database: Database) -> dict[str, tuple[str, ...]]:
    """Tables and columns that a query would read; nothing for what is none. For workers."""
    from t2sql_tui.core.answers.explain import columns_read  # brings sqlglot, see messages.py

    return columns_read(query, database) if isinstance(query, CheckedQuery) else {}


def describe_reads(reads: dict[str, tuple[str, ...]], schema: Schema) -> str:
    """orders (id, total), customers (all 9 columns)"""
    parts = []
    for name, columns in list(reads.items())[:6]:
        table = schema.table(name)
        if not columns:
            what = ""
        elif table and len(columns) > 3 and len(columns) == len(table.columns):
            what = f" (all {len(columns)} columns)"
        else:
            what = f" ({', '.join(map(one_line, columns[:8]))}{', …' if len(columns) > 8 else ''})"
        parts.append(one_line(name) + what)
    more = f" and {len(reads) - 6} more" if len(reads) > 6 else ""
    return (", ".join(parts) + more) or "no table"


def starters(schema: Schema) -> list[str]:
    """Questions that any file can answer, made from its own names."""
    tables = sorted(
        (t for t in schema.tables if t.kind == "table"), key=lambda t: -(t.row_count or 0)
    )[:3]
    found = [f"How many {_spoken(table.name)} are there?" for table in tables[:2]]
    for table in tables:
        for key in table.foreign_keys[:1]:
            if key.table != table.name:
                found.append(f"Which {_spoken(key.table)} have the most {_spoken(table.name)}?")
    found += [f"Show ten {_spoken(table.name)}" for table in tables[:1]]
    return found


def _spoken(name: str) -> str:
    return one_line(name).replace("_", " ")
