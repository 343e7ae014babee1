"""Copies of databases, with tables and columns added that real files have.

In each copy one table of the schema is chosen, whose rows are the "things" of its questions
(singers, ships). builder.py adds a table of events that happen to them (bookings, claims), the
lines of these events, and dates, contacts and flags on the things themselves.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.english import plural_noun, singular_noun
from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.types import Schema, Table
from trainer.synthesis import vocabulary
from trainer.synthesis.builder import ScenarioBuilder
from trainer.synthesis.scenario import Entity, Field, Scenario

MOST_TABLES = 12  # of a schema; a longer prompt would leave less room for questions


def copy_with_scenario(
    source: Path, entry: dict[str, Any], file: Path, rng: random.Random
) -> Scenario | None:
    """Copies the database `source` to `file` and adds a scenario.

    `entry` is its entry in tables.json. None, and no copy, if no table has a key and a name.
    """
    with open_database(source) as database:
        schema = database.schema
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as original:
        original.text_factory = lambda raw: raw.decode("utf-8", "replace")
        things = _things(schema, original, entry) if len(schema.tables) <= MOST_TABLES else []
        things = [_with_parent(thing, things, schema) for thing in things]
        if not things:
            return None
        with closing(sqlite3.connect(file)) as connection:
            original.backup(connection)
            (thing,) = rng.choices(things, [80 if t.parent else min(t.rows, 60) for t in things])
            scenario = ScenarioBuilder(connection, schema, rng).scenario(thing)
            connection.commit()
            connection.execute("VACUUM")
    return scenario


def _things(schema: Schema, connection: sqlite3.Connection, entry: dict[str, Any]) -> list[Entity]:
    """The tables of a schema that questions can be about: their rows have a key and a name."""
    words = {
        (entry["table_names_original"][table].lower(), name.lower()): spoken[1]
        for (table, name), spoken in zip(
            entry["column_names_original"], entry["column_names"], strict=True
        )
        if table >= 0
    }
    nouns = dict(
        zip(map(str.lower, entry["table_names_original"]), entry["table_names"], strict=True)
    )
    things = []
    for table in schema.tables:
        noun = nouns.get(table.name.lower(), "")
        keys = [c.name for c in table.columns if c.primary_key]
        if len(keys) != 1 or not _is_suitable(table, noun):
            continue
        one = singular_noun(noun)
        fields = list(_profiled(table, keys[0], one, words, connection))
        labels = tuple(f for f in fields if f.kind == "label")
        rest = tuple(f for f in fields if f.kind != "label")
        if labels:
            rows = table.row_count or 0
            things.append(
                Entity(table.name, one, plural_noun(one), keys[0], labels, rest, rows=rows)
            )
    return things


def _is_suitable(table: Table, noun: str) -> bool:
    """Whether a table has a fair number of rows and a noun that people use."""
    parts = noun.split()
    return (
        table.kind == "table"
        and 5 <= (table.row_count or 0) <= 2000
        and all(part.isalpha() and len(part) > 2 for part in parts)
        and not noun.startswith("ref ")
        and noun not in vocabulary.SKIPPED
        and len(parts) <= 2
    )


def _profiled(
    table: Table,
    key: str,
    one: str,
    words: dict[tuple[str, str], str],
    connection: sqlite3.Connection,
) -> Iterator[Field]:
    """The columns with a clear content: a name of the row, a few categories, plain numbers."""
    links = {name for foreign in table.foreign_keys for name in foreign.columns}
    named = False
    for column in table.columns:
        spoken = words.get((table.name.lower(), column.name.lower()), "").removeprefix(f"{one} ")
        if column.name in links or not spoken.replace(" ", "").isalpha() or len(spoken) < 3:
            continue
        if spoken == one:
            spoken = "name"
        read = f"SELECT {quoted(column.name)} FROM {quoted(table.name)}"
        values = [value for (value,) in connection.execute(read)]
        kind = _kind_of(values, spoken, column.name == key)
        if kind == "number":
            quartiles = (sorted(values)[len(values) * part // 4] for part in (1, 2, 3))
            yield Field(column.name, spoken, kind, values=tuple(map(str, quartiles)))
        elif kind == "category" or (kind == "label" and not named):
            named = named or kind == "label"
            yield Field(column.name, spoken, kind, values=tuple(sorted(set(values))))


def _kind_of(values: list[Any], spoken: str, is_key: bool) -> str:
    """The kind of a column: "category", "label", "number", or "" if its content is not clear."""
    distinct = set(values)
    are_texts = all(
        isinstance(v, str) and v.strip() == v and v.isprintable() and "\ufffd" not in v and v
        for v in values
    )
    if are_texts and not is_key and 2 <= len(distinct) <= 8 < 2 * len(values) / len(distinct):
        return "category"
    if are_texts and len(distinct) == len(values) and spoken in ("name", "title"):
        return "label"
    are_numbers = all(isinstance(v, int | float) for v in values)
    is_quantity = len(spoken.split()) < 3 and not vocabulary.ODD_NUMBERS & set(spoken.split())
    return "number" if are_numbers and len(distinct) > 4 and not is_key and is_quantity else ""


def _with_parent(thing: Entity, things: list[Entity], schema: Schema) -> Entity:
    """`thing`, with the thing that its foreign key points at as its parent."""
    table = schema.table(thing.table)
    for key in table.foreign_keys if table else ():
        for other in things:
            if (key.table, key.ref_columns) == (other.table, (other.key,)) and other != thing:
                return replace(thing, parent=other, link=key.columns[0])
    return thing
