"""The part of the schema that the model sees: all of it, as in the app, or less, for ablations.

`benchmarks --help` imports this: no module that takes time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from t2sql_tui.core.types import Example, Question, Schema

if TYPE_CHECKING:
    from t2sql_tui.core.database.database import Database

LINKED_TABLES = 4

SCHEMA_SUBSETS = {
    "full": "all tables",
    "linked": f"the {LINKED_TABLES} best-ranked tables for the question",
    "gold": "the tables that the gold SQL reads, an oracle",
}


def schema_subset(kind: str, example: Example, database: Database) -> Schema | None:
    """The schema of `database` without the tables that the model does not see; None where it
    sees all, and also where the gold SQL cannot be read. `kind` is one of SCHEMA_SUBSETS."""
    if kind == "full":
        return None
    # sqlglot and numpy, which --help does not need
    from benchmarks.metrics.trees import columns_read
    from t2sql_tui.core.prompting.schema_linking import rank_tables
    from t2sql_tui.core.prompting.value_matching import find_values

    whole = database.schema
    if kind == "gold":
        names = set(columns_read(example.gold, {t.name.lower(): set() for t in whole.tables}))
    else:
        question = Question(example.question, example.evidence)
        ranked = rank_tables(whole, question, find_values(database, example.question))
        names = {table.name.lower() for table in ranked[:LINKED_TABLES]}
    kept = tuple(table for table in whole.tables if table.name.lower() in names)
    return replace(whole, tables=kept) if kept else None
