"""Variants of a schema to train on: only some of its tables, or another order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from t2sql_tui.core.types import Schema, Table
from trainer.sql_style import tables_of


def pruned(schema: Schema, sql: str, distractors: int, rng: random.Random) -> Schema:
    """The tables that `sql` reads and `distractors` others, in the schema's own order."""
    needed = tables_of(sql, schema)
    others = [t.name.lower() for t in schema.tables if t.name.lower() not in needed]
    needed |= set(rng.sample(others, min(distractors, len(others))))
    return _only(schema, [t for t in schema.tables if t.name.lower() in needed])


def shuffled(schema: Schema, rng: random.Random) -> Schema:
    """The same tables and columns in a random order."""
    tables = [
        replace(t, columns=tuple(rng.sample(t.columns, len(t.columns)))) for t in schema.tables
    ]
    return _only(schema, rng.sample(tables, len(tables)))


def _only(schema: Schema, tables: Iterable[Table]) -> Schema:
    """`schema` with these tables, without foreign keys to tables that are gone."""
    tables = list(tables)
    names = {t.name.lower() for t in tables}
    return replace(
        schema,
        tables=tuple(
            replace(t, foreign_keys=tuple(k for k in t.foreign_keys if k.table.lower() in names))
            for t in tables
        ),
    )
