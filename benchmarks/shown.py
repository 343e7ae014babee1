"""How much of the schema the model sees: all of it, as in the app, or less, for ablations.

`benchmarks --help` imports this: no module that takes time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from t2sql_tui.core.types import Example, Schema

LINKED = 4  # tables

SCHEMAS = {
    "full": "all tables",
    "linked": f"the {LINKED} best-ranked tables for the question",
    "gold": "the tables that the gold SQL reads, an oracle",
}


def shown(kind: str, example: Example, database: Any) -> Schema | None:
    """What the model sees of the schema of `database`; None for all of it, also where the gold
    SQL cannot be read."""
    if kind == "full":
        return None
    from benchmarks.linking import columns_read
    from t2sql_tui.core.prompting.schema_linking import rank_tables
    from t2sql_tui.core.prompting.value_matching import find_values
    from t2sql_tui.core.types import Question

    whole = database.schema
    if kind == "gold":
        names = set(columns_read(example.gold, {t.name.lower(): set() for t in whole.tables}))
    else:
        question = Question(example.question, example.evidence)
        ranked = rank_tables(whole, question, find_values(database, example.question))
        names = {table.name.lower() for table in ranked[:LINKED]}
    kept = tuple(table for table in whole.tables if table.name.lower() in names)
    return replace(whole, tables=kept) if kept else None
