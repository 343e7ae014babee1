"""The copied databases: what questions can be about in one, and what real files have, added.

A copy gets a table of things that happen (bookings, claims, ...) to something that the schema
knows, its lines, and dates, contacts and flags on the thing itself.
"""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.english import plural_noun, singular_noun
from t2sql_tui.core.identifiers import quote_identifier, quoted
from t2sql_tui.core.types import Schema, Table
from trainer.synthesis import vocabulary
from trainer.synthesis.dates import FORMS, stored
from trainer.synthesis.vocabulary import styled

TABLES = 12  # of a schema at most, or its prompt crowds out the questions


@dataclass(frozen=True, slots=True)
class Field:
    """A column, as stored and as a question calls it. `verb` is what happened on a date
    ("booked"), `form` how dates and money are stored, `values` what texts may be, `gaps` whether
    some rows hold NULL where others hold one of them."""

    name: str
    words: str
    kind: str  # label, category, number, money, date, end, flag, untidy, contact, note
    form: str = ""
    verb: str = ""
    values: tuple[str, ...] = ()
    gaps: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """A table that questions are about. `link` is its column that holds the parent's key, NULL in
    some rows if there are `orphans`."""

    table: str
    one: str
    many: str
    key: str
    label: tuple[Field, ...]
    fields: tuple[Field, ...]
    parent: Entity | None = None
    link: str = ""
    view: tuple[str, str] | None = None  # its name, and what its rows are
    orphans: bool = False
    rows: int = 0

    @property
    def called(self) -> str:
        """What its label is called: "name"."""
        return self.label[0].words

    def of(self, *kinds: str) -> list[Field]:
        return [f for f in self.fields if f.kind in kinds]

    def column(self, name: str) -> str:
        return f"{quote_identifier(self.table)}.{quote_identifier(name)}"


@dataclass(frozen=True, slots=True)
class World:
    """What a copied database holds: a thing, what happens to it, and the lines of that."""

    thing: Entity
    event: Entity
    line: Entity


def copy_with_world(
    source: Path, entry: dict[str, Any], file: Path, rng: random.Random
) -> World | None:
    """A copy of a database with a world of its own in it; None, and no copy, if nothing in it
    has a key and a name."""
    with open_database(source) as database:
        schema = database.schema
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as original:
        original.text_factory = lambda raw: raw.decode("utf-8", "replace")
        things = _things(schema, original, entry) if len(schema.tables) <= TABLES else []
        things = [_owned(thing, things, schema) for thing in things]
        if not things:
            return None
        with closing(sqlite3.connect(file)) as connection:
            original.backup(connection)
            (thing,) = rng.choices(things, [80 if t.parent else min(t.rows, 60) for t in things])
            world = _Builder(connection, schema, rng).world(thing)
            connection.commit()
            connection.execute("VACUUM")
    return world


def _things(schema: Schema, connection: sqlite3.Connection, entry: dict[str, Any]) -> list[Entity]:
    """The tables of a schema that a question can be about: rows with a key and a name."""
    words = {
        (entry["table_names_original"][table].lower(), name.lower()): spoken[1]
        for (table, name), spoken in zip(
            entry["column_names_original"], entry["column_names"], strict=True
        )
        if table >= 0
    }
    spoken = dict(
        zip(map(str.lower, entry["table_names_original"]), entry["table_names"], strict=True)
    )
    found = []
    for table in schema.tables:
        noun = spoken.get(table.name.lower(), "")
        keys = [c.name for c in table.columns if c.primary_key]
        if (
            table.kind != "table"
            or len(keys) != 1
            or not 5 <= (table.row_count or 0) <= 2000
            or not all(part.isalpha() and len(part) > 2 for part in noun.split())
            or noun.startswith("ref ")
            or noun in vocabulary.SKIPPED
            or len(noun.split()) > 2
        ):
            continue
        one = singular_noun(noun)
        fields = list(_profiled(table, keys[0], one, words, connection))
        label = [f for f in fields if f.kind == "label"]
        if label:
            rest = tuple(f for f in fields if f.kind != "label")
            found.append(
                Entity(
                    table.name,
                    one,
                    plural_noun(one),
                    keys[0],
                    (label[0],),
                    rest,
                    rows=table.row_count or 0,
                )
            )
    return found


def _profiled(
    table: Table,
    key: str,
    one: str,
    words: dict[tuple[str, str], str],
    connection: sqlite3.Connection,
) -> Iterator[Field]:
    """The columns whose content is clear: a name that tells rows apart, a few categories,
    plain numbers."""
    links = {name for foreign in table.foreign_keys for name in foreign.columns}
    named = False
    for column in table.columns:
        spoken = words.get((table.name.lower(), column.name.lower()), "").removeprefix(f"{one} ")
        if column.name in links or not spoken.replace(" ", "").isalpha() or len(spoken) < 3:
            continue
        read = f"SELECT {quoted(column.name)} FROM {quoted(table.name)}"
        values = [value for (value,) in connection.execute(read)]
        distinct = set(values)
        texts = all(
            isinstance(v, str) and v.strip() == v and v.isprintable() and "\ufffd" not in v and v
            for v in values
        )
        if spoken == one:
            spoken = "name"
        if (
            texts
            and column.name != key
            and 2 <= len(distinct) <= 8 < 2 * len(values) / len(distinct)
        ):
            yield Field(column.name, spoken, "category", values=tuple(sorted(distinct)))
        elif texts and not named and len(distinct) == len(values) and spoken in ("name", "title"):
            named = True
            yield Field(column.name, spoken, "label", values=tuple(sorted(distinct)))
        elif (
            all(isinstance(v, int | float) for v in values)
            and len(distinct) > 4
            and column.name != key
            and len(spoken.split()) < 3
            and not vocabulary.ODD_NUMBERS & set(spoken.split())
        ):
            quartiles = (sorted(values)[len(values) * part // 4] for part in (1, 2, 3))
            yield Field(column.name, spoken, "number", values=tuple(map(str, quartiles)))


def _owned(thing: Entity, things: list[Entity], schema: Schema) -> Entity:
    """With the thing that its foreign key points at as its parent, if there is one."""
    table = schema.table(thing.table)
    for key in table.foreign_keys if table else ():
        for other in things:
            if (key.table, key.ref_columns) == (other.table, (other.key,)) and other != thing:
                return replace(thing, parent=other, link=key.columns[0])
    return thing


class _Builder:
    """Adds to one copy what real files have."""

    def __init__(self, connection: sqlite3.Connection, schema: Schema, rng: random.Random) -> None:
        self.connection, self.rng = connection, rng
        self.taken = {table.name.lower() for table in schema.tables}
        self.columns = {t.name: {c.name.lower() for c in t.columns} for t in schema.tables}
        self.style = _weighted(rng, vocabulary.STYLES)
        self.nouns: set[str] = set()  # what the things of the questions are called

    def world(self, thing: Entity) -> World:
        self.nouns = {thing.one, thing.parent.one if thing.parent else ""}
        thing = self._extended(thing)
        event = self._with_view(self._events(thing))
        return World(thing, event, self._lines(event))

    def name(self, words: str) -> str:
        return styled(words, self.style)

    # what columns hold ---------------------------------------------------------------

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
        """One of the columns of text in `options`, if nothing else goes by its name."""
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

    # tables --------------------------------------------------------------------------

    def _extended(self, thing: Entity) -> Entity:
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
            self.connection.execute(
                f"ALTER TABLE {quoted(thing.table)} ADD COLUMN {quoted(field.name)} "
                f"{self._declared(field)}"
            )
            for (row,) in self.connection.execute(
                f"SELECT rowid FROM {quoted(thing.table)} ORDER BY rowid"
            ).fetchall():
                self.connection.execute(
                    f"UPDATE {quoted(thing.table)} SET {quoted(field.name)} = ? WHERE rowid = ?",
                    (self._value(field), row),
                )
            added.append(field)
        return replace(thing, fields=thing.fields + tuple(added))

    def _table_name(self, one: str, many: str) -> str | None:
        name = self.name(self.rng.choice((many, many, one)))
        if {name.lower(), one, many} & self.taken:
            return None
        self.taken.add(name.lower())
        return name

    def _events(self, thing: Entity) -> Entity:
        rng = self.rng
        while True:
            one, many, start, end, states, money = rng.choice(vocabulary.EVENTS)
            if thing.one not in (one, many) and (table := self._table_name(one, many)):
                break
        form = _weighted(rng, FORMS)
        price = self._money(rng.choice(money), rng.random() < 0.25)
        code = rng.choice(vocabulary.CODES)
        label = Field(self.name(rng.choice((code, f"{one} {code}"))), code, "label")
        status = rng.choice(vocabulary.STATUS)
        optional = [
            Field(self.name(status), status, "category", values=tuple(states)),
            self._flag(vocabulary.FLAGS),
            self._texts("untidy", vocabulary.UNTIDY),
            Field(self.name(note := rng.choice(vocabulary.NOTES)), note, "note"),
            self._texts("category", vocabulary.CATEGORIES),
        ]
        fields = [
            self._date(start, form),
            self._date(end, form, "end"),
            price,
            *rng.sample(optional, rng.randint(3, 5)),
        ]
        rng.shuffle(fields)
        entity = Entity(
            table,
            one,
            many,
            self.name(rng.choice(("id", f"{one} id"))),
            (label,),
            tuple(fields),
            thing,
            self.name(f"{thing.one} id"),
            orphans=rng.random() < 0.3,
        )
        self._create(entity)
        self._fill_events(entity)
        return entity

    def _fill_events(self, entity: Entity) -> None:
        """Some things get many rows, some none; what has ended began before."""
        rng, thing = self.rng, entity.parent
        assert thing
        keys = self._keys(thing)
        busy = rng.sample(keys, min(40, max(3, round(len(keys) * 0.75))))
        weights = [1 / (place + 1.5) ** 1.3 for place in range(len(busy))]
        letter = entity.one[:2].upper()
        codes = rng.sample(range(1000, 9999), 260)
        for place in range(rng.randint(60, 220)):
            began = self._moment(2021, 2024)
            ended = began + timedelta(rng.randint(1, 60), rng.randrange(20_000))
            link = None if entity.orphans and rng.random() < 0.08 else rng.choices(busy, weights)[0]
            row = {entity.key: place + 1, entity.link: link}
            row[entity.label[0].name] = f"{letter}-{codes[place]}"
            for field in entity.fields:
                if field.kind not in ("date", "end"):
                    row[field.name] = self._value(field)
                elif field.kind == "date":
                    row[field.name] = stored(began, field.form)
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
        place = 0
        for key in self._keys(event):
            for _ in range(rng.choices((0, 1, 2, 3), (1, 3, 3, 2))[0]):
                place += 1
                row = {entity.key: place, entity.link: key}
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
        """In half of the copies: a view of what has not ended."""
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
