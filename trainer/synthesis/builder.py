"""Builds the scenario of one copy: events of the chosen things, event lines, further columns."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from t2sql_tui.core.identifiers import quoted
from t2sql_tui.core.types import Schema
from trainer.synthesis import vocabulary
from trainer.synthesis.dates import FORMS, stored
from trainer.synthesis.scenario import Entity, Field, Scenario
from trainer.synthesis.vocabulary import styled


class ScenarioBuilder:
    """Adds the tables and columns of a scenario to one copy."""

    def __init__(self, connection: sqlite3.Connection, schema: Schema, rng: random.Random) -> None:
        self.connection, self.rng = connection, rng
        self.taken = {table.name.lower() for table in schema.tables}
        self.columns = {t.name: {c.name.lower() for c in t.columns} for t in schema.tables}
        self.style = _weighted(rng, vocabulary.STYLES)
        self.nouns: set[str] = set()  # for things and their parents

    def scenario(self, thing: Entity) -> Scenario:
        """The scenario around `thing`, written to the database."""
        self.nouns = {thing.one, thing.parent.one if thing.parent else ""}
        thing = self._extended(thing)
        event = self._with_view(self._events(thing))
        return Scenario(thing, event, self._lines(event))

    def name(self, words: str) -> str:
        """The name of the column or table called `words`, in the style of this copy."""
        return styled(words, self.style)

    # --- columns and their values ---------------------------------------------------

    def _moment(self, first: int = 2020, last: int = 2024) -> datetime:
        start = datetime(first, 1, 1, tzinfo=UTC)
        days = (datetime(last, 12, 31, tzinfo=UTC) - start).days
        return start + timedelta(self.rng.randrange(days), self.rng.randrange(25_000, 75_000))

    def _date(self, verb: str, form: str, kind: str = "date") -> Field:
        words = self.rng.choice((f"{verb} on", f"{verb} date", f"date {verb}", f"{verb} at"))
        if " at" in words and form not in ("datetime", "epoch"):
            words = f"{verb} on"
        return Field(self.name(words), f"{verb} date", kind, form, verb)

    def _texts(self, kind: str, options: Sequence[tuple[str, tuple[str, ...]]]) -> Field:
        """One of the columns of text in `options`, whose words no table has."""
        words, values = self.rng.choice([o for o in options if o[0] not in self.nouns])
        gaps = self.rng.random() < 0.4
        return Field(self.name(words), words, kind, values=values, gaps=gaps)

    def _flag(self, options: Sequence[str]) -> Field:
        words = self.rng.choice(options)
        prefix = self.rng.choice(("is ", ""))
        return Field(self.name(prefix + words), words, "flag")

    def _money(self, words: str, cents: bool) -> Field:
        name = self.name(f"{words} cents" if cents else words)
        return Field(name, words, "money", "cents" if cents else "")

    def _value(self, field: Field) -> Any:
        rng = self.rng
        if field.gaps and rng.random() < 0.12:
            return None
        match field.kind:
            case "category":
                weights = range(len(field.values) + 2, 2, -1)
                return rng.choices(field.values, weights)[0]
            case "date":
                return stored(self._moment(), field.form) if rng.random() < 0.9 else None
            case "flag":
                return int(rng.random() < 0.3)
            case "untidy":
                value = rng.choice(field.values)
                value = rng.choice((value, value, value.lower(), value.upper()))
                return rng.choice((value, value, f"{value} ", f" {value}"))
            case "note":
                return rng.choice(vocabulary.NOTE_TEXTS) if rng.random() < 0.55 else None
            case "contact":
                return self._contact(field.words) if rng.random() < 0.6 else None
            case "money":
                amount = min(9000.0, max(5.0, round(math.exp(rng.gauss(4.6, 0.9)), 2)))
                return round(amount * 100) if field.form == "cents" else amount
            case "number":
                return rng.randint(1, 9)
        raise ValueError(field.kind)

    def _contact(self, words: str) -> str:
        who = self.rng.choice(("ana", "ben", "chen", "dora", "emil", "fay", "gus", "hana", "ivo"))
        number = self.rng.randrange(1000, 9999)
        site = self.rng.choice(("example.com", "example.org", "mail.example.net"))
        return {
            "e-mail": f"{who}{number % 89}@{site}",
            "website": f"https://{who}{number}.{site}",
        }.get(words, f"+{number % 80 + 10} 555 {number}")

    def _declared(self, field: Field) -> str:
        if field.kind in ("date", "end"):
            kinds = {"epoch": ("INTEGER",), "dmy": ("TEXT",), "mdy": ("TEXT",)}
            return self.rng.choice(kinds.get(field.form, ("TEXT", "TEXT", "DATETIME")))
        if field.kind == "money":
            return "INTEGER" if field.form == "cents" else "REAL"
        return "INTEGER" if field.kind in ("flag", "number") else "TEXT"

    # --- tables ---------------------------------------------------------------------

    def _extended(self, thing: Entity) -> Entity:
        """The things with further columns: a date, a contact, perhaps a flag and a category."""
        rng = self.rng
        wanted = [
            self._date(rng.choice(vocabulary.THING_DATES), _weighted(rng, FORMS)),
            Field(self.name(words := rng.choice(vocabulary.CONTACTS)), words, "contact"),
        ]
        if rng.random() < 0.6:
            wanted.append(self._flag(vocabulary.THING_FLAGS))
        if rng.random() < 0.6:
            wanted.append(self._texts("category", vocabulary.THING_CATEGORIES))
        added = []
        for field in rng.sample(wanted, len(wanted)):
            known = self.columns[thing.table] | {f.words for f in thing.fields}
            if {field.name.lower(), field.words} & known:
                continue
            self._add_column(thing.table, field)
            added.append(field)
        return replace(thing, fields=thing.fields + tuple(added))

    def _add_column(self, name: str, field: Field) -> None:
        table, column = quoted(name), quoted(field.name)
        declared = self._declared(field)
        self.connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declared}")
        rows = self.connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid").fetchall()
        for (row,) in rows:
            value = self._value(field)
            update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            self.connection.execute(update, (value, row))

    def _table_name(self, one: str, many: str) -> str | None:
        """A name for a new table; None if its words are taken."""
        name = self.name(self.rng.choice((many, many, one)))
        if {name.lower(), one, many} & self.taken:
            return None
        self.taken.add(name.lower())
        return name

    def _events(self, thing: Entity) -> Entity:
        rng = self.rng
        while True:
            words = rng.choice(vocabulary.EVENTS)
            nouns = words.one, words.many
            if thing.one not in nouns and (table := self._table_name(*nouns)):
                break
        label, fields = self._event_columns(words)
        entity = Entity(
            table,
            words.one,
            words.many,
            self.name(rng.choice(("id", f"{words.one} id"))),
            (label,),
            fields,
            thing,
            self.name(f"{thing.one} id"),
            orphans=rng.random() < 0.3,
        )
        self._create(entity)
        self._fill_events(entity)
        return entity

    def _event_columns(self, words: vocabulary.EventWords) -> tuple[Field, tuple[Field, ...]]:
        """The column that names an event, and the others."""
        rng = self.rng
        form = _weighted(rng, FORMS)
        price = self._money(rng.choice(words.money), rng.random() < 0.25)
        code = rng.choice(vocabulary.CODES)
        label = Field(self.name(rng.choice((code, f"{words.one} {code}"))), code, "label")
        status = rng.choice(vocabulary.STATUS)
        optional = [
            Field(self.name(status), status, "category", values=words.states),
            self._flag(vocabulary.FLAGS),
            self._texts("untidy", vocabulary.UNTIDY),
            Field(self.name(note := rng.choice(vocabulary.NOTES)), note, "note"),
            self._texts("category", vocabulary.CATEGORIES),
        ]
        fields = [
            self._date(words.start, form),
            self._date(words.end, form, "end"),
            price,
            *rng.sample(optional, rng.randint(3, 5)),
        ]
        rng.shuffle(fields)
        return label, tuple(fields)

    def _fill_events(self, entity: Entity) -> None:
        """Writes 60 to 220 events: some things get many, some none; each ends after it starts."""
        rng, thing = self.rng, entity.parent
        assert thing
        keys = self._keys(thing)
        busy = rng.sample(keys, min(40, max(3, round(len(keys) * 0.75))))
        weights = [1 / (rank + 1.5) ** 1.3 for rank in range(len(busy))]
        letters = entity.one[:2].upper()
        codes = rng.sample(range(1000, 9999), 260)
        for number in range(rng.randint(60, 220)):
            started = self._moment(2021, 2024)
            ended = started + timedelta(rng.randint(1, 60), rng.randrange(20_000))
            link = None if entity.orphans and rng.random() < 0.08 else rng.choices(busy, weights)[0]
            row = {entity.key: number + 1, entity.link: link}
            row[entity.label[0].name] = f"{letters}-{codes[number]}"
            for field in entity.fields:
                if field.kind not in ("date", "end"):
                    row[field.name] = self._value(field)
                elif field.kind == "date":
                    row[field.name] = stored(started, field.form)
                else:
                    row[field.name] = stored(ended, field.form) if rng.random() < 0.7 else None
            self._insert(entity.table, row)

    def _lines(self, event: Entity) -> Entity:
        rng = self.rng
        while True:
            one, many = rng.choice(vocabulary.LINES)
            full = rng.choice((f"{event.one} {many}", f"{event.one} {one}"))
            if table := self._table_name(full, full):
                break
        cents = rng.random() < 0.25
        price = rng.choice(("unit price", "price", "rate"))
        amount = rng.choice(("quantity", "units", "pieces"))
        entity = Entity(
            table,
            f"{event.one} {one}",
            f"{event.one} {many}",
            self.name("id"),
            (),
            (
                self._texts("category", vocabulary.LINE_KINDS),
                Field(self.name(amount), amount, "number"),
                self._money(price, cents),
            ),
            event,
            self.name(f"{event.one} id"),
        )
        self._create(entity)
        number = 0
        for key in self._keys(event):
            for _ in range(rng.choices((0, 1, 2, 3), (1, 3, 3, 2))[0]):
                number += 1
                row = {entity.key: number, entity.link: key}
                self._insert(table, row | {f.name: self._value(f) for f in entity.fields})
        return entity

    def _create(self, entity: Entity) -> None:
        parent = entity.parent
        assert parent
        lines = [f"{quoted(entity.key)} INTEGER PRIMARY KEY"]
        kind = self.connection.execute(
            "SELECT type FROM pragma_table_info(?) WHERE name = ?", (parent.table, parent.key)
        ).fetchone()[0]
        lines += [f"{quoted(f.name)} TEXT" for f in entity.label]
        lines.append(f"{quoted(entity.link)} {kind}")
        lines += [f"{quoted(f.name)} {self._declared(f)}" for f in entity.fields]
        lines.append(
            f"FOREIGN KEY ({quoted(entity.link)}) REFERENCES {quoted(parent.table)} "
            f"({quoted(parent.key)})"
        )
        self.connection.execute(f"CREATE TABLE {quoted(entity.table)} ({', '.join(lines)})")

    def _keys(self, entity: Entity) -> list[Any]:
        read = f"SELECT {quoted(entity.key)} FROM {quoted(entity.table)} ORDER BY rowid"
        return [key for (key,) in self.connection.execute(read)]

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        self.connection.execute(
            f"INSERT INTO {quoted(table)} ({', '.join(map(quoted, row))}) VALUES "
            f"({', '.join('?' * len(row))})",
            tuple(row.values()),
        )

    def _with_view(self, event: Entity) -> Entity:
        """The events; in half of the copies with a view of those that have not ended."""
        if self.rng.random() < 0.5:
            return event
        (ended,) = event.of("end")
        states = {value for field in event.of("category") for value in field.values}
        word = next(w for w in ("open", "unfinished") if w not in states)
        name = self.name(f"{word} {event.many}")
        columns = [event.label[0].name, event.link, *(f.name for f in event.of("date", "money"))]
        self.connection.execute(
            f"CREATE VIEW {quoted(name)} AS SELECT {', '.join(map(quoted, columns))} FROM "
            f"{quoted(event.table)} WHERE {quoted(ended.name)} IS NULL"
        )
        return replace(event, view=(name, word))


def _weighted(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]
