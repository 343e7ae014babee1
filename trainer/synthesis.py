"""Questions that Spider hardly asks, generated over its training schemas, proved by execution.

Spider's questions nearly never use dates, NULLs, percentages, windows or untidy text, which
is what people ask of their own files. So each of its training databases is copied, and the copy
gets what real files have: a table of things that happen (bookings, claims, ...) to something
that the schema knows, its lines, and dates, contacts and flags on the thing itself. Formats,
names and their style are drawn anew for every copy, so that the answer is found in the schema
and its samples and not by heart.

A question is kept only if its SQL runs, gives rows that say something, and gives others as soon
as any one of its conditions is dropped. Equal seeds give equal bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.datasets import DataError, Dataset
from t2sql_tui.core.database import Database, open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.names import quote_identifier
from t2sql_tui.core.schema import quote
from t2sql_tui.core.types import CheckedQuery, Example, Limits, Schema, Table
from trainer.base import cache_folder, whole_folder, write_json
from trainer.sqlform import by_names

PER_DATABASE = 20  # questions that share a prefix: packing lives on it
FILE_BYTES = 2_000_000  # of a database that is copied
TABLES = 12  # of a schema at most, or its prompt crowds out the questions
ROWS = 200  # of a result at most; nobody reads more
PROOF = Limits(rows=100_000, seconds=5.0)
TRIES = 12  # of one family in one database


@dataclass(frozen=True, slots=True)
class Field:
    """A column, as stored and as a question calls it. `verb` is what happened on a date
    ("booked"), `form` how dates and money are stored, `values` what texts may be."""

    name: str
    words: str
    kind: str  # label, category, number, money, date, end, flag, untidy, contact, note
    form: str = ""
    verb: str = ""
    values: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Draft:
    """A question and its SQL, yet to be proved. `rivals` are other readings, which must give
    other rows for the question to teach the difference."""

    question: str
    sql: str
    rivals: tuple[str, ...] = ()


# --- vocabulary ---------------------------------------------------------------------

# One, many, what starts it, what ends it, its states, what its money is called.
_EVENTS = tuple(
    (*words.split("/"), states.split(), money.split("/"))
    for words, states, money in (
        ("order/orders/placed/delivered", "open packed sent cancelled", "total/amount"),
        ("invoice/invoices/issued/paid", "draft due overdue settled", "amount/total/sum due"),
        ("ticket/tickets/opened/closed", "new waiting solved rejected", "cost/fee"),
        ("request/requests/submitted/answered", "new pending granted refused", "budget/cost"),
        ("booking/bookings/booked/confirmed", "tentative firm cancelled", "price/fee/deposit"),
        ("scholarship/scholarships/awarded/paid out", "proposed active finished", "amount/budget"),
        ("repair/repairs/reported/finished", "waiting running done", "cost/estimate"),
        ("visit/visits/planned/completed", "planned done missed", "fee/travel cost"),
        ("complaint/complaints/filed/resolved", "new open settled dropped", "refund/compensation"),
        ("inspection/inspections/scheduled/completed", "passed failed pending", "fee/cost"),
        ("delivery/deliveries/dispatched/received", "late lost damaged complete", "freight/value"),
        ("task/tasks/created/finished", "todo blocked done", "budget/cost"),
        ("claim/claims/filed/settled", "open accepted denied", "amount/payout"),
        ("contract/contracts/signed/terminated", "active expired suspended", "value/fee"),
        ("shipment/shipments/sent/received", "underway returned lost arrived", "value/freight"),
        ("registration/registrations/received/approved", "pending valid void", "fee/deposit"),
        ("application/applications/received/decided", "new shortlisted declined", "fee/amount"),
        ("donation/donations/pledged/received", "pledged partial complete", "amount/value"),
        ("rental/rentals/started/returned", "active late closed", "price/deposit/rent"),
        ("call/calls/logged/returned", "missed answered forwarded", "cost/charge"),
        ("report/reports/drafted/published", "draft final withdrawn", "budget/cost"),
        ("quote/quotes/drafted/accepted", "draft sent lapsed", "amount/total"),
        ("audit/audits/announced/finished", "planned clean flawed", "cost/fee"),
        ("permit/permits/requested/issued", "pending valid revoked", "fee/charge"),
        ("campaign/campaigns/launched/stopped", "planned live over", "budget/spend"),
        ("incident/incidents/reported/resolved", "minor major critical", "damage/cost"),
        ("licence/licences/granted/revoked", "trial regular blocked", "fee/price"),
        ("refund/refunds/requested/paid", "open approved denied", "amount/value"),
        ("workshop/workshops/announced/held", "planned full cancelled", "fee/budget"),
        ("transfer/transfers/ordered/executed", "queued blocked done", "amount/fee"),
    )
)  # fmt: skip
_LINES = (
    ("item", "items"), ("line", "lines"), ("position", "positions"), ("part", "parts"),
    ("charge", "charges"), ("entry", "entries"), ("component", "components"),
)  # fmt: skip
_CODES = ("code", "reference", "title", "label")
_STATUS = ("status", "state", "stage", "phase", "outcome")
_FLAGS = ("urgent", "prepaid", "archived", "verified", "insured", "confidential", "recurring",
          "taxable", "billable", "external", "automatic", "private")  # fmt: skip
_THING_FLAGS = ("active", "verified", "featured", "blocked", "sponsored", "certified")
_UNTIDY = (
    ("payment method", ("PayPal", "Visa", "Cash", "Bank Transfer")),
    ("channel", ("Phone", "Web", "Walk-in", "Letter")),
    ("carrier", ("DHL", "UPS", "FedEx", "Hermes")),
    ("language", ("English", "Spanish", "Polish", "Hindi")),
    ("department", ("Sales", "Legal", "Finance", "Research")),
    ("source", ("Google", "Newsletter", "Referral", "Trade Fair")),
    ("device", ("iPhone", "Android", "Laptop", "Kiosk")),
    ("currency", ("EUR", "USD", "GBP", "CHF")),
)
_CATEGORIES = (
    ("region", ("North", "South", "East", "West")),
    ("priority", ("low", "normal", "high")),
    ("category", ("standard", "express", "special", "bulk")),
    ("team", ("Red", "Blue", "Green", "Gold")),
    ("shift", ("early", "late", "night")),
    ("size", ("small", "medium", "large")),
    ("branch", ("Lisbon", "Oslo", "Turin", "Ghent", "Leeds")),
    ("tier", ("basic", "plus", "premium")),
    ("origin", ("domestic", "foreign")),
    ("group", ("A1", "A2", "B1", "C1")),
    ("class", ("first", "second", "third")),
)
_LINE_KINDS = (
    ("product", ("lamp", "desk", "chair", "shelf", "rug", "mirror", "clock")),
    ("service", ("cleaning", "transport", "storage", "training", "setup")),
    ("material", ("steel", "copper", "glass", "oak", "rubber", "marble")),
    ("cost type", ("labour", "travel", "material", "licence", "postage")),
    ("article", ("cable", "battery", "screen", "keyboard", "adapter", "case")),
)
_NOTES = ("note", "comment", "remark", "explanation")
_NOTE_TEXTS = (
    "called back twice", "see letter", "paid in advance", "papers are missing", "wrong address",
    "asked for a discount", "rush job", "approved by phone", "to be checked", "second attempt",
)  # fmt: skip
_CONTACTS = ("e-mail", "phone number", "website", "fax number")
_THING_DATES = ("registered", "added", "approved", "inspected", "last updated")
_THING_CATEGORIES = (
    ("tier", ("bronze", "silver", "gold")),
    ("zone", ("A", "B", "C")),
    ("rating", ("poor", "fair", "good", "excellent")),
    ("risk", ("low", "medium", "high")),
    ("segment", ("private", "public", "mixed")),
)
_FORMS = {"iso": 35, "datetime": 25, "epoch": 14, "dmy": 14, "mdy": 12}
_PATTERNS = {
    "iso": "%Y-%m-%d", "datetime": "%Y-%m-%d %H:%M:%S", "dmy": "%d.%m.%Y", "mdy": "%m/%d/%Y",
}  # fmt: skip
_STYLES = {"snake": 55, "camel": 12, "pascal": 10, "spaced": 16, "upper": 7}

_IRREGULAR = {
    "people": "person", "series": "series", "aircraft": "aircraft", "staff": "staff member",
    "faculty": "faculty member", "movies": "movie", "cookies": "cookie", "photos": "photo",
    "premises": "premises", "bus": "bus", "class": "class", "campus": "campus",
    "campuses": "campus", "children": "child", "branches": "branch", "churches": "church",
    "matches": "match", "addresses": "address", "furniture": "furniture",
    "lens": "lens",
}  # fmt: skip
_PLURALS = {one: many for many, one in _IRREGULAR.items()} | {
    "staff member": "staff members", "faculty member": "faculty members", "bus": "buses",
    "class": "classes", "campus": "campuses",
}  # fmt: skip


_SKIPPED = {"useracct", "operate company"}  # no words that people use


def _singular(noun: str) -> str:
    *before, last = noun.split()
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("ies"):
        last = f"{last[:-3]}y"
    elif last.endswith("s") and not last.endswith(("ss", "us")):
        last = last[:-1]
    return " ".join((*before, last))


def _plural(noun: str) -> str:
    if noun in _PLURALS:
        return _PLURALS[noun]
    *before, last = noun.split()
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = f"{last[:-1]}ies"
    else:
        last += "es" if last.endswith(("s", "x", "ch", "sh")) else "s"
    return " ".join((*before, last))


def _styled(words: str, style: str) -> str:
    """The column or table called `words`, in one of the ways in which people name things."""
    parts = words.replace("-", "").split()
    if style in ("snake", "upper"):
        name = "_".join(parts)
        return name.upper() if style == "upper" else name
    titles = [part[:1].upper() + part[1:] for part in parts]
    if style == "camel":
        titles[0] = parts[0]
    return (" " if style == "spaced" else "").join(titles)


# --- databases ----------------------------------------------------------------------


def _weighted(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


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
            table.kind != "table" or len(keys) != 1 or not 5 <= (table.row_count or 0) <= 2000
            or not all(part.isalpha() and len(part) > 2 for part in noun.split())
            or noun.startswith("ref ") or noun in _SKIPPED or len(noun.split()) > 2
        ):  # fmt: skip
            continue
        one = _singular(noun)
        fields = list(_profiled(table, keys[0], one, words, connection))
        label = [f for f in fields if f.kind == "label"]
        if label:
            rest = tuple(f for f in fields if f.kind != "label")
            found.append(
                Entity(
                    table.name,
                    one,
                    _plural(one),
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
        read = f"SELECT {quote(column.name)} FROM {quote(table.name)}"
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
            all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            and len(distinct) > 4
            and column.name != key
            and len(spoken.split()) < 3
            and not set(spoken.split())
            & {
                "billion",
                "million",
                "feet",
                "meters",
                "id",
                "code",
                "year",
                "phone",
                "number",
                "zip",
                "no",
            }
        ):
            quartiles = (sorted(values)[len(values) * part // 4] for part in (1, 2, 3))
            yield Field(column.name, spoken, "number", values=tuple(map(str, quartiles)))


class _Builder:
    """Adds to one copy what real files have."""

    def __init__(self, connection: sqlite3.Connection, schema: Schema, rng: random.Random) -> None:
        self.connection, self.rng = connection, rng
        self.taken = {table.name.lower() for table in schema.tables}
        self.columns = {t.name: {c.name.lower() for c in t.columns} for t in schema.tables}
        self.style = _weighted(rng, _STYLES)
        self.nouns: set[str] = set()  # what the things of the questions are called

    def world(self, thing: Entity) -> World:
        self.nouns = {thing.one, thing.parent.one if thing.parent else ""}
        thing = self._extended(thing)
        event = self._with_view(self._events(thing))
        return World(thing, event, self._lines(event))

    def name(self, words: str) -> str:
        return _styled(words, self.style)

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
        return Field(self.name(words), words, kind, values=values)

    def _flag(self, options: Sequence[str]) -> Field:
        words = self.rng.choice(options)
        prefix = self.rng.choice(("is ", ""))
        return Field(self.name(prefix + words), words, "flag")

    def _value(self, field: Field) -> Any:
        rng = self.rng
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
                return rng.choice(_NOTE_TEXTS) if rng.random() < 0.55 else None
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
            self._date(rng.choice(_THING_DATES), _weighted(rng, _FORMS)),
            Field(self.name(words := rng.choice(_CONTACTS)), words, "contact"),
        ]
        if rng.random() < 0.6:
            wanted.append(self._flag(_THING_FLAGS))
        if rng.random() < 0.6:
            wanted.append(self._texts("category", _THING_CATEGORIES))
        added = []
        for field in rng.sample(wanted, len(wanted)):
            known = self.columns[thing.table] | {f.words for f in thing.fields}
            if {field.name.lower(), field.words} & known:
                continue
            self.connection.execute(
                f"ALTER TABLE {quote(thing.table)} ADD COLUMN {quote(field.name)} "
                f"{self._declared(field)}"
            )
            for (row,) in self.connection.execute(
                f"SELECT rowid FROM {quote(thing.table)} ORDER BY rowid"
            ).fetchall():
                self.connection.execute(
                    f"UPDATE {quote(thing.table)} SET {quote(field.name)} = ? WHERE rowid = ?",
                    (self._value(field), row),
                )
            added.append(field)
        return dataclasses.replace(thing, fields=thing.fields + tuple(added))

    def _table_name(self, one: str, many: str) -> str | None:
        name = self.name(self.rng.choice((many, many, one)))
        if {name.lower(), one, many} & self.taken:
            return None
        self.taken.add(name.lower())
        return name

    def _events(self, thing: Entity) -> Entity:
        rng = self.rng
        while True:
            one, many, start, end, states, money = rng.choice(_EVENTS)
            if thing.one not in (one, many) and (table := self._table_name(one, many)):
                break
        form = _weighted(rng, _FORMS)
        words = rng.choice(money)
        cents = rng.random() < 0.25
        code = rng.choice(_CODES)
        label = Field(self.name(rng.choice((code, f"{one} {code}"))), code, "label")
        optional = [
            Field(
                self.name(words_ := rng.choice(_STATUS)), words_, "category", values=tuple(states)
            ),
            self._flag(_FLAGS),
            self._texts("untidy", _UNTIDY),
            Field(self.name(words_ := rng.choice(_NOTES)), words_, "note"),
            self._texts("category", _CATEGORIES),
        ]
        fields = [
            self._date(start, form),
            self._date(end, form, "end"),
            Field(self.name(f"{words} cents" if cents else words), words, "money",
                  "cents" if cents else ""),
            *rng.sample(optional, rng.randint(3, 5)),
        ]  # fmt: skip
        rng.shuffle(fields)
        entity = Entity(
            table, one, many, self.name(rng.choice(("id", f"{one} id"))), (label,),
            tuple(fields), thing, self.name(f"{thing.one} id"),
        )  # fmt: skip
        entity = dataclasses.replace(entity, orphans=rng.random() < 0.3)
        self._create(entity)
        self._fill_events(entity)
        return entity

    def _fill_events(self, entity: Entity) -> None:
        """Some things get many rows, some none; what has ended began before."""
        rng, thing = self.rng, entity.parent
        assert thing
        keys = [
            key for (key,) in self.connection.execute(
                f"SELECT {quote(thing.key)} FROM {quote(thing.table)} ORDER BY rowid"
            )
        ]  # fmt: skip
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
            one, many = rng.choice(_LINES)
            full = rng.choice((f"{event.one} {many}", f"{event.one} {one}"))
            if table := self._table_name(full, full):
                break
        cents = rng.random() < 0.25
        price = rng.choice(("unit price", "price", "rate"))
        amount = rng.choice(("quantity", "units", "pieces"))
        entity = Entity(
            table, f"{event.one} {one}", f"{event.one} {many}", self.name("id"), (),
            (
                self._texts("category", _LINE_KINDS),
                Field(self.name(amount), amount, "number"),
                Field(self.name(f"{price} cents" if cents else price), price, "money",
                      "cents" if cents else ""),
            ),
            event, self.name(f"{event.one} id"),
        )  # fmt: skip
        self._create(entity)
        keys = [
            k for (k,) in self.connection.execute(
                f"SELECT {quote(event.key)} FROM {quote(event.table)} ORDER BY 1"
            )
        ]  # fmt: skip
        place = 0
        for key in keys:
            for _ in range(rng.choices((0, 1, 2, 3), (1, 3, 3, 2))[0]):
                place += 1
                row = {entity.key: place, entity.link: key}
                self._insert(table, row | {f.name: self._value(f) for f in entity.fields})
        return entity

    def _create(self, entity: Entity) -> None:
        parent = entity.parent
        assert parent
        lines = [f"{quote(entity.key)} INTEGER PRIMARY KEY"]
        kind = self.connection.execute(
            "SELECT type FROM pragma_table_info(?) WHERE name = ?", (parent.table, parent.key)
        ).fetchone()[0]
        lines += [f"{quote(f.name)} TEXT" for f in entity.label]
        lines.append(f"{quote(entity.link)} {kind}")
        lines += [f"{quote(f.name)} {self._declared(f)}" for f in entity.fields]
        lines.append(
            f"FOREIGN KEY ({quote(entity.link)}) REFERENCES {quote(parent.table)} "
            f"({quote(parent.key)})"
        )
        self.connection.execute(f"CREATE TABLE {quote(entity.table)} ({', '.join(lines)})")

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        self.connection.execute(
            f"INSERT INTO {quote(table)} ({', '.join(map(quote, row))}) VALUES "
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
            f"CREATE VIEW {quote(name)} AS SELECT {', '.join(map(quote, columns))} FROM "
            f"{quote(event.table)} WHERE {quote(ended.name)} IS NULL"
        )
        return dataclasses.replace(event, view=(name, word))


def stored(moment: datetime, form: str) -> str | int:
    """A moment as a column of that form holds it."""
    if form == "epoch":
        return int(moment.timestamp())
    return moment.strftime(_PATTERNS[form])


# --- pieces of SQL and English --------------------------------------------------------


def literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'" if isinstance(value, str) else str(value)


def rounded(expression: str, digits: int | None) -> str:
    return expression if digits is None else f"round({expression}, {digits})"


def day_of(column: str, form: str) -> str:
    """YYYY-MM-DD of a stored date, whatever form it is stored in."""
    match form:
        case "iso":
            return column
        case "datetime":
            return f"date({column})"
        case "epoch":
            return f"date({column}, 'unixepoch')"
    day, month = (1, 4) if form == "dmy" else (4, 1)
    return (
        f"substr({column}, 7, 4) || '-' || substr({column}, {month}, 2) || '-' || substr({column}, "
        f"{day}, 2)"
    )


def month_of(column: str, form: str) -> str:
    if form in ("dmy", "mdy"):
        month = 4 if form == "dmy" else 1
        return f"substr({column}, 7, 4) || '-' || substr({column}, {month}, 2)"
    return f"strftime('%Y-%m', {column}{', ' + literal('unixepoch') if form == 'epoch' else ''})"


def year_of(column: str, form: str) -> str:
    if form in ("dmy", "mdy"):
        return f"substr({column}, 7, 4)"
    return f"strftime('%Y', {column}{', ' + literal('unixepoch') if form == 'epoch' else ''})"


def in_year(column: str, form: str, year: int) -> str:
    """A condition. Text that begins with the year needs no function."""
    if form in ("iso", "datetime"):
        return f"{column} LIKE '{year}%'"
    return f"{year_of(column, form)} = '{year}'"


@dataclass(frozen=True, slots=True)
class Group:
    """What rows are grouped by: "each `words`", of which `shown` is asked for (`select`, named
    `output`), over the tables of `entities`."""

    words: str
    shown: str
    key: str
    select: str
    output: str
    entities: tuple[Entity, ...]
    about: str = ""

    @property
    def whose(self) -> str:
        return "its" if self.about else "their"


@dataclass(frozen=True, slots=True)
class Condition:
    """`tail` completes "the bookings that ...", `about` names the column it tests."""

    tail: str
    sql: str
    about: str


_PERIODS = ("month", "months", "before", "after", "between", "since")
# Of these verbs people also say that something is still un-done.
_UNDONE = ("paid", "answered", "confirmed", "finished", "resolved", "settled", "delivered",
           "published", "approved", "decided")  # fmt: skip


class Writer:
    """Draws the parts of a question and their SQL for one world."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.rng = rng
        self.thing, self.event, self.line = world.thing, world.event, world.line

    # parts of SQL ----------------------------------------------------------------------

    def tables(self, *entities: Entity) -> str:
        """FROM with the tables joined along their keys, the children first."""
        text = f"FROM {quote_identifier(entities[0].table)}"
        for entity in entities[1:]:
            child = next(e for e in entities if e.parent and e.parent.table == entity.table)
            text += (
                f" JOIN {quote_identifier(entity.table)} ON {child.column(child.link)} = "
                f"{entity.column(entity.key)}"
            )
        return text

    def name_of(self, entity: Entity) -> str:
        return entity.column(entity.label[0].name)

    def pick_entity(self) -> Entity:
        return self.rng.choice((self.thing, self.event, self.event))

    def group(self, event: Entity) -> Group:
        """By a category of the events, or by the thing that they belong to."""
        field = self.field(event, "category")
        if field and self.rng.random() < 0.6:
            column = event.column(field.name)
            return Group(
                field.words, field.words, column, column, field.name, (event,), field.words
            )
        thing = self.thing
        own = self.field(thing, "category")
        if own and self.rng.random() < 0.35:
            column = thing.column(own.name)
            words = f"{thing.one} {own.words}"
            return Group(words, words, column, column, own.name, (event, thing))
        label = thing.label[0]
        return Group(
            thing.one, f"{thing.one} {label.words}", thing.column(thing.key), self.name_of(thing),
            label.name, (event, thing),
        )  # fmt: skip

    def names(self, entity: Entity) -> str:
        return f"the {_plural(entity.label[0].words)}"

    def extreme(self, noun: str, field: Field, most: bool) -> str:
        """ "repairs with the highest cost", or what people call those: "most expensive repairs"."""
        adjectives = {"price": ("most expensive", "cheapest"), "amount": ("largest", "smallest")}
        for words in ("cost", "fee", "charge", "rent"):
            adjectives[words] = adjectives["price"]
        for words in ("total", "sum due", "budget", "value"):
            adjectives[words] = adjectives["amount"]
        if field.words in adjectives and field.kind == "money" and self.rng.random() < 0.35:
            return f"{adjectives[field.words][0 if most else 1]} {noun}"
        return f"{noun} with the {'highest' if most else 'lowest'} {field.words}"

    def pick(self, *texts: str) -> str:
        return self.rng.choice(texts)

    def field(self, entity: Entity, *kinds: str) -> Field | None:
        found = entity.of(*kinds)
        return self.rng.choice(found) if found else None

    # parts of questions ----------------------------------------------------------------

    def show(self, what: str) -> str:
        """Asks for a list."""
        are = "is" if " of each " in what else "are"
        return self.pick(
            f"Show {what}.", f"List {what}.", f"Give me {what}.", f"What {are} {what}?",
            f"Please list {what}.", f"I need {what}.", f"{what[0].upper()}{what[1:]}.",
            f"Can you show me {what}?", f"Find {what}.", f"Return {what}.",
        )  # fmt: skip

    def tell(self, what: str) -> str:
        """Asks for a single value."""
        return self.pick(
            f"What is {what}?", f"Tell me {what}.", f"Calculate {what}.", f"Give me {what}.",
            f"Show {what}.", f"{what[0].upper()}{what[1:]}?", f"I'd like to know {what}.",
        )  # fmt: skip

    def how_many(self, many: str, tail: str) -> str:
        return self.pick(
            f"How many {many} {tail}?", f"Count the {many} that {tail}.",
            f"What is the number of {many} that {tail}?", f"Number of {many} that {tail}",
            f"How many of the {many} {tail}?", f"I want to know how many {many} {tail}.",
        )  # fmt: skip

    def total(
        self, field: Field, column: str, function: str, *, inside: bool = False
    ) -> tuple[str, str]:
        """An aggregate, rounded or not, and the words that ask for it so; in brackets if they
        stand `inside` the question."""
        expression, digits, asked = self.amount(field, f"{function}({column})")
        brackets = inside or (asked and self.rng.random() < 0.25)
        return rounded(expression, digits), asked and (f" ({asked})" if brackets else f", {asked}")

    def amount(self, field: Field, expression: str) -> tuple[str, int | None, str]:
        """An expression over a column of money or numbers in the unit that is asked for, the
        digits it is asked to have (None: as they come), and the words for both."""
        digits, unit = self.rng.choice((1, 2, 2)), ""
        if field.form == "cents":
            if self.rng.random() < 0.2:
                return expression, None, "in cents"
            expression, digits = f"{expression} / 100.0", 2
            unit = self.pick(
                "in euros, ", "in dollars, ", "converted from cents, ", "not in cents, "
            )
        elif self.rng.random() < 0.3:
            return expression, None, ""
        places = "one decimal" if digits == 1 else "two decimals"
        return (
            expression,
            digits,
            unit + self.pick(f"rounded to {places}", f"with {places}", f"to {places}"),
        )

    # conditions ------------------------------------------------------------------------

    def that(self, conditions: Sequence[Condition]) -> str:
        """The relative clause of conditions; of one, often shortened to "with ..." or to what
        happened ("booked in 2023")."""
        if not conditions:
            return ""
        clause = " and ".join(c.tail for c in conditions)
        if len(conditions) == 1 and self.rng.random() < 0.6:
            start, _, rest = clause.partition(" ")
            if start == "were" and not rest.startswith("never"):
                return f" {rest}"
            if start == "have" and rest.startswith(("no ", "a ", "an ", "the ")):
                return f" with {rest}"
        return f" that {clause}"

    def condition(self, entity: Entity, *kinds: str) -> Condition | None:
        """One condition on a column of the kinds (of any kind if none is named)."""
        field = self.field(
            entity, *(kinds or ("category", "date", "end", "flag", "number", "money", "contact"))
        )
        if not field:
            return None
        column = entity.column(field.name)
        match field.kind:
            case "category":
                return self.is_value(entity, field)
            case "date" | "end":
                if field.kind == "end" and self.rng.random() < 0.4:
                    return self._missing(field, column)
                return self.dated(field, column)
            case "flag":
                yes = self.rng.random() < 0.7
                return Condition(
                    f"are {'' if yes else 'not '}{field.words}",
                    f"{column} = {int(yes)}",
                    field.words,
                )
            case "number" | "money":
                return self._compared(entity, field, column)
            case "contact" | "note":
                return self._missing(field, column)
            case "untidy":
                return self.untidy(field, column)
        raise ValueError(field.kind)

    def is_value(self, entity: Entity, field: Field) -> Condition:
        column, value = entity.column(field.name), self.rng.choice(field.values)
        kind = self.rng.random()
        verbs = {f.verb for f in entity.of("date", "end")}  # "are planned" may mean a date
        if field.words in _STATUS and kind > 0.6 and not {value, f"{value}ed"} & verbs:
            return Condition(f"are {value}", f"{column} = {literal(value)}", field.words)
        if kind < 0.12 and len(field.values) > 2:
            other = self.rng.choice([v for v in field.values if v != value])
            return Condition(
                f"have the {field.words} '{value}' or '{other}'",
                f"{column} IN ({literal(value)}, {literal(other)})", field.words,
            )  # fmt: skip
        if kind < 0.22:
            tail = f"have {_an(field.words)} other than '{value}'"
            return Condition(tail, f"{column} != {literal(value)}", field.words)
        tail = self.pick(
            f"have the {field.words} '{value}'", f"have {field.words} {value}",
            f"have '{value}' as their {field.words}",
        )  # fmt: skip
        return Condition(tail, f"{column} = {literal(value)}", field.words)

    def _missing(self, field: Field, column: str) -> Condition:
        if field.kind == "end":
            if self.rng.random() < 0.65:
                tail = self.pick(
                    f"have not been {field.verb} yet", f"are not {field.verb} yet",
                    f"have no {field.words}", f"were never {field.verb}",
                    f"are still un{field.verb}" if field.verb in _UNDONE
                    else f"are yet to be {field.verb}",
                )  # fmt: skip
                return Condition(tail, f"{column} IS NULL", field.words)
            tail = self.pick(f"have been {field.verb}", f"have a {field.words}")
            return Condition(tail, f"{column} IS NOT NULL", field.words)
        words = field.words
        if self.rng.random() < 0.65:
            tail = self.pick(
                f"have no {words}", f"do not have {_an(words)}", f"lack {_an(words)}",
                f"are missing {_an(words)}",
            )  # fmt: skip
            return Condition(tail, f"{column} IS NULL", words)
        tail = self.pick(f"have {_an(words)}", f"do have {_an(words)}")
        return Condition(tail, f"{column} IS NOT NULL", words)

    def dated(self, field: Field, column: str, *kinds: str) -> Condition:
        """A year, a month, a range or a limit, tested in the form the column is stored in."""
        rng, form, verb = self.rng, field.form, field.verb
        iso = form in ("iso", "datetime")
        year, month = rng.randint(2021, 2024), rng.randint(1, 12)
        first = date(year, month, rng.randint(1, 28))
        spoken = self.pick(
            f"{first}", f"{first.day} {first:%B %Y}", f"{first:%B} {first.day}, {year}"
        )
        match rng.choice(kinds or ("year", "year", *_PERIODS)):
            case "year":
                sql = in_year(column, form, year)
                tail = self.pick(
                    f"were {verb} in {year}", f"have been {verb} during {year}",
                    f"have {_an(field.words)} in {year}",
                )  # fmt: skip
            case "month":
                when = f"{year}-{month:02}"
                sql = f"{column} LIKE '{when}%'" if iso else f"{month_of(column, form)} = '{when}'"
                tail = (
                    f"were {verb} in {self.pick(f'{first:%B %Y}', f'{first:%B} of {year}', when)}"
                )
            case "before":
                sql = f"{column if iso else day_of(column, form)} < '{first}'"
                tail = f"were {verb} before {spoken}"
            case "after":
                sql = f"{day_of(column, form)} > '{first}'"
                tail = f"were {verb} after {spoken}"
            case "between":
                last = first + timedelta(rng.randint(30, 200))
                sql = f"{day_of(column, form)} BETWEEN '{first}' AND '{last}'"
                tail = f"were {verb} between {first} and {last}"
            case "since":
                sql = (
                    f"{column} >= '{year}-01-01'" if iso else f"{year_of(column, form)} >= '{year}'"
                )
                tail = self.pick(f"were {verb} in {year} or later", f"were {verb} after {year - 1}")
            case _:
                month = rng.randint(1, 10)
                last_month = rng.randint(month + 1, min(12, month + 6))
                names = f"{date(year, month, 1):%B}", f"{date(year, last_month, 1):%B}"
                sql = (
                    f"{month_of(column, form)} BETWEEN '{year}-{month:02}' AND "
                    f"'{year}-{last_month:02}'"
                )
                tail = self.pick(
                    f"were {verb} between {names[0]} and {names[1]} {year}",
                    f"were {verb} from {names[0]} to {names[1]} {year}",
                )
        return Condition(tail, sql, field.words)

    def _compared(self, entity: Entity, field: Field, column: str) -> Condition:
        more = self.rng.random() < 0.6
        side, sign = ("above", ">") if more else ("below", "<")
        if field.kind == "number" and (not field.values or self.rng.random() < 0.4):
            average = f"(SELECT avg({column}) FROM {quote_identifier(entity.table)})"
            tail = f"have {_an(field.words)} {side} the average of all {entity.many}"
            return Condition(tail, f"{column} {sign} {average}", field.words)
        if field.kind == "number":
            limit = shown = self.rng.choice(field.values)
        else:
            limit = self.rng.choice((40, 50, 75, 100, 120, 150, 200, 250))
            shown = f"{limit} euros" if field.form == "cents" else f"{limit}"
            limit *= 100 if field.form == "cents" else 1
        tail = self.pick(
            f"have {_an(field.words)} {side} {shown}",
            f"have {_an(field.words)} of {'more' if more else 'less'} than {shown}",
        )
        return Condition(tail, f"{column} {sign} {limit}", field.words)

    def untidy(self, field: Field, column: str) -> Condition:
        value = self.rng.choice(field.values)
        tail = self.pick(
            f"have the {field.words} {value}, whatever its case and surrounding spaces",
            f"have {value} as {field.words} (ignore case and stray spaces)",
            f"have {field.words} {value}, however it is capitalised or padded with spaces",
            f"have {field.words} '{value}' in any case, with or without spaces around it",
            f"have {field.words} '{value.lower()}', ignoring upper and lower case and blanks "
            f"around it",
        )  # fmt: skip
        return Condition(tail, f"lower(trim({column})) = {literal(value.lower())}", field.words)

    def conditions(self, entity: Entity, count: int) -> list[Condition]:
        """Conditions on different columns."""
        found: dict[str, Condition] = {}
        for _ in range(8):
            condition = self.condition(entity)
            if condition and len(found) < count:
                found.setdefault(condition.about, condition)
        return list(found.values())


def _an(words: str) -> str:
    """With its article, unless it is a plural ("points")."""
    if words.endswith("s") and not words.endswith(("ss", "us", "is")):
        return words
    return f"{'an' if words[0] in 'aeiou' and not words.startswith(('un', 'uni')) else 'a'} {words}"


def _where(conditions: Sequence[Condition]) -> str:
    return f" WHERE {' AND '.join(c.sql for c in conditions)}" if conditions else ""


# --- families of questions ------------------------------------------------------------

Family = Callable[[Writer], Draft | None]
FAMILIES: dict[str, Family] = {}


def _family(make: Family) -> Family:
    FAMILIES[make.__name__.strip("_")] = make
    return make


@_family
def _missing_count(w: Writer) -> Draft | None:
    entity = w.pick_entity()
    missing = w.condition(entity, "contact", "note", "end")
    if not missing or "NULL" not in missing.sql:
        return None
    more = w.conditions(entity, 1) if w.rng.random() < 0.3 else []
    found = [missing, *(c for c in more if c.about != missing.about)]
    tail = " and ".join(c.tail for c in found)
    return Draft(
        w.how_many(entity.many, tail), f"SELECT count(*) {w.tables(entity)}{_where(found)}"
    )


@_family
def _dated_count(w: Writer) -> Draft | None:
    entity = w.pick_entity()
    found = [w.condition(entity, "date")]
    if not found[0]:
        return None
    if w.rng.random() < 0.35:
        found += [c for c in w.conditions(entity, 1) if c.about != found[0].about]
    tail = " and ".join(c.tail for c in found)
    return Draft(
        w.how_many(entity.many, tail), f"SELECT count(*) {w.tables(entity)}{_where(found)}"
    )


@_family
def _count_of_two(w: Writer) -> Draft | None:
    entity = w.pick_entity()
    found = w.conditions(entity, 2)
    if len(found) < 2:
        return None
    tail = f"{found[0].tail} and {found[1].tail}"
    return Draft(
        w.how_many(entity.many, tail), f"SELECT count(*) {w.tables(entity)}{_where(found)}"
    )


@_family
def _listing(w: Writer) -> Draft | None:
    """Some columns of the rows that fulfil a condition or two, often in an order."""
    entity = w.pick_entity()
    found = w.conditions(entity, w.rng.choice((1, 1, 2)))
    other = w.field(entity, "number", "money", "category", "contact", "date")
    if not found or not other:
        return None
    label, column = entity.label[0], entity.column(other.name)
    what = f"the {label.words} and {other.words} of the {entity.many}{w.that(found)}"
    sql = f"SELECT {w.name_of(entity)}, {column} {w.tables(entity)}{_where(found)}"
    if other.kind in ("number", "money"):
        what += w.pick(
            f", highest {other.words} first", f", sorted by {other.words}, largest first"
        )
        sql += f" ORDER BY {column} DESC"
    elif other.kind == "date":
        if other.form == "epoch":
            sql = sql.replace(f", {column} ", f", {day_of(column, other.form)} ", 1)
            what = what.replace(other.words, f"{other.words} (as YYYY-MM-DD)", 1)
        what += w.pick(", newest first", ", the latest first", f", by {other.words}, newest first")
        order = day_of(column, other.form) if other.form in ("dmy", "mdy") else column
        sql += f" ORDER BY {order} DESC"
    else:
        what += w.pick(f", sorted by {label.words}", f", in alphabetical order of {label.words}")
        sql += f" ORDER BY {w.name_of(entity)}"
    return Draft(w.show(what), sql)


@_family
def _per_period(w: Writer) -> Draft | None:
    """Counts or sums by month or year, in order."""
    event, (start,) = w.event, w.event.of("date")
    column = event.column(start.name)
    monthly = w.rng.random() < 0.65
    period = (month_of if monthly else year_of)(column, start.form)
    found, when = [], ""
    if monthly and w.rng.random() < 0.5:
        year = w.rng.randint(2021, 2024)
        sql, when = in_year(column, start.form, year), f" of {year}"
        found = [Condition(f"were {start.verb} in {year}", sql, start.words)]
    elif w.rng.random() < 0.3:
        found = [c for c in w.conditions(event, 1) if c.about != start.words]
    unit = "month" if monthly else "year"
    shape = w.pick(" (as YYYY-MM)", ", written as YYYY-MM,", "") if monthly else ""
    money = w.field(event, "money")
    order = w.pick("in chronological order", "from the oldest to the newest", "in order of time")
    scope = f"{event.many}{w.that(found)}"
    if (when or not found) and w.rng.random() < 0.4:
        value = "count(*)"
        what = w.pick(
            f"How many {event.many} were {start.verb} in each {unit}{when}{shape}, {order}?",
            f"Number of {event.many} {start.verb} per {unit}{when}{shape}, {order}",
            f"Show how many {event.many} were {start.verb} each {unit}{when}{shape}, {order}.",
        )
    elif w.rng.random() < 0.5 or not money:
        value = "count(*)"
        what = w.pick(
            f"How many {scope} are there for each {unit}{shape} of the {start.words}, {order}?",
            f"Show the {unit}{shape} of the {start.words} and the number of {scope}, {order}.",
            f"Number of {scope} by {unit}{shape} of the {start.words}, {order}.",
            f"Count the {scope} per {unit}{shape} in which they were {start.verb}, {order}.",
        )
    else:
        function, name = w.rng.choice((("sum", "total"), ("avg", "average")))
        value, asked = w.total(money, event.column(money.name), function, inside=True)
        what = w.pick(
            f"Show the {unit}{shape} of the {start.words} and the {name} {money.words}{asked} of "
            f"the {scope}, {order}.",
            f"What is the {name} {money.words}{asked} of the {scope} for each {unit}{shape} of the "
            f"{start.words}, {order}?",
            f"{name.capitalize()} {money.words}{asked} of the {scope} by {unit}{shape} of the "
            f"{start.words}, {order}",
        )
    return Draft(
        what.replace(",,", ","),
        f"SELECT {period}, {value} {w.tables(event)}{_where(found)} GROUP BY {period} ORDER BY "
        f"{period}",
    )


@_family
def _busiest_period(w: Writer) -> Draft | None:
    event, (start,) = w.event, w.event.of("date")
    unit = w.pick("month", "year")
    period = (month_of if unit == "month" else year_of)(event.column(start.name), start.form)
    most = w.rng.random() < 0.75
    count = w.rng.random() < 0.5
    shape = " (YYYY-MM)" if unit == "month" else ""
    question = w.pick(
        f"In which {unit}{shape} were the {'most' if most else 'fewest'} {event.many} {start.verb}"
        f"{', and how many were there' if count else ''}?",
        f"Which {unit}{shape} had the {'highest' if most else 'lowest'} number of {event.many} "
        f"{start.verb}?{' Show the number too.' if count else ''}",
    )
    return Draft(
        question,
        f"SELECT {period}{', count(*)' if count else ''} {w.tables(event)} GROUP BY {period} ORDER "
        f"BY count(*) {'DESC' if most else 'ASC'} LIMIT 1",
    )


def _nothing(w: Writer, found: Sequence[Condition]) -> str:
    """A condition on things: no such event. NOT IN only where no link is NULL, for it is never
    true otherwise; NOT EXISTS always."""
    event, thing = w.event, w.thing
    if not event.orphans and w.rng.random() < 0.5:
        return (
            f"{thing.column(thing.key)} NOT IN (SELECT {event.column(event.link)} "
            f"{w.tables(event)}{_where(found)})"
        )
    return (
        f"NOT EXISTS (SELECT 1 {w.tables(event)} WHERE {event.column(event.link)} = "
        f"{thing.column(thing.key)}{''.join(f' AND {c.sql}' for c in found)})"
    )


@_family
def _without(w: Writer) -> Draft | None:
    """Things that nothing (of a kind) happened to."""
    event, thing = w.event, w.thing
    found = w.conditions(event, 1) if w.rng.random() < 0.6 else []
    none = _nothing(w, found)
    tail = w.pick(
        f"have no {event.many}{w.that(found)}", f"do not have any {event.many}{w.that(found)}"
    )
    if not found:
        tail = w.pick(tail, f"have never had {_an(event.one)}", f"are without any {event.many}")
    if w.rng.random() < 0.5:
        return Draft(
            w.how_many(thing.many, tail), f"SELECT count(*) {w.tables(thing)} WHERE {none}"
        )
    question = w.pick(
        w.show(f"{w.names(thing)} of the {thing.many} that {tail}"),
        f"Which {thing.many} {tail}?",
        f"Which {thing.many} {tail}? Give their {_plural(thing.label[0].words)}.",
    )
    return Draft(question, f"SELECT {w.name_of(thing)} {w.tables(thing)} WHERE {none}")


@_family
def _both(w: Writer) -> Draft | None:
    """Things that had this and that; INTERSECT, for one row can hardly be both."""
    return _set_operation(w, "INTERSECT")


@_family
def _but_not(w: Writer) -> Draft | None:
    return _set_operation(w, "EXCEPT")


def _set_operation(w: Writer, operator: str) -> Draft | None:
    event, thing = w.event, w.thing
    field = w.field(event, "category", "category", "flag", "date")
    if not field:
        return None
    column = event.column(field.name)
    if field.kind == "category":
        first, second = w.is_value(event, field), w.is_value(event, field)
    elif field.kind == "date":
        first, second = (w.dated(field, column, "year", "months") for _ in "ab")
    else:
        first = Condition(f"are {field.words}", f"{column} = 1", "")
        second = Condition(f"are not {field.words}", f"{column} = 0", "")
    if first.sql == second.sql:
        return None
    name = thing.label[0].words
    select = f"SELECT {w.name_of(thing)} {w.tables(event, thing)} WHERE "
    link = "but no" if operator == "EXCEPT" else "and also"
    question = w.pick(
        w.show(
            f"{w.names(thing)} of the {thing.many} that have {event.many} that {first.tail} {link} "
            f"{event.many} that {second.tail}"
        ),
        f"Which {thing.many} have {event.many} that {first.tail} {link} {event.many} that "
        f"{second.tail}?{w.pick('', f' Show the {name}.')}",
    )
    return Draft(question, f"{select}{first.sql} {operator} {select}{second.sql}")


@_family
def _share(w: Writer) -> Draft | None:
    """The percentage of rows that fulfil a condition."""
    entity = w.pick_entity()
    (condition,) = w.conditions(entity, 1) or (None,)
    if not condition:
        return None
    digits = w.rng.choice((0, 1, 1, 2))
    places = {0: "", 1: "one decimal", 2: "two decimals"}[digits]
    places = f", {w.pick('rounded to', 'with')} {places}" if places else ""
    question = w.pick(
        f"What percentage of the {entity.many} {condition.tail}{places}?",
        w.tell(f"the percentage of {entity.many} that {condition.tail}{places}"),
        f"What share of all {entity.many}, in percent, {condition.tail}{places}?",
    )
    share = f"100.0 * sum({condition.sql}) / count(*)"
    rounded = f"round({share}, {digits})" if digits else share
    return Draft(question, f"SELECT {rounded} {w.tables(entity)}")


@_family
def _share_per_group(w: Writer) -> Draft | None:
    event = w.event
    group = w.group(event)
    condition = next((c for c in w.conditions(event, 2) if c.about != group.about), None)
    if not condition:
        return None
    question = w.pick(
        f"For each {group.words}, what percentage of the {event.many} {condition.tail}, rounded to "
        "one decimal?",
        f"Show the {group.shown} and the percentage of {group.whose} {event.many} that "
        f"{condition.tail}, to one decimal.",
        f"Per {group.words}: the {group.shown} and the percentage of {event.many} that "
        f"{condition.tail}, with one decimal.",
    )
    return Draft(
        question,
        f"SELECT {group.select}, round(100.0 * sum({condition.sql}) / count(*), 1) "
        f"{w.tables(*group.entities)} GROUP BY {group.key}",
    )


@_family
def _mean_per_group(w: Writer) -> Draft | None:
    event, (money,) = w.event, w.event.of("money")
    group = w.group(event)
    function, name = w.rng.choice((("avg", "average"), ("sum", "total"), ("avg", "mean")))
    value, asked = w.total(money, event.column(money.name), function, inside=True)
    found = [c for c in w.conditions(event, 1) if c.about not in (group.about, money.words)]
    found = found if w.rng.random() < 0.4 else []
    sql = (
        f"SELECT {group.select}, {value} {w.tables(*group.entities)}{_where(found)} GROUP BY "
        f"{group.key}"
    )
    what = (
        f"the {group.shown} and the {name} {money.words}{asked} of {group.whose} "
        f"{event.many}{w.that(found)}"
    )
    if w.rng.random() < 0.6:
        what += w.pick(", highest first", ", the largest first", ", sorted from high to low")
        return Draft(w.show(what), f"{sql} ORDER BY {value} DESC")
    return Draft(w.pick(w.show(what), f"For each {group.words}, show {what}."), sql)


@_family
def _untidy_count(w: Writer) -> Draft | None:
    field = w.field(w.event, "untidy")
    if not field:
        return None
    event, column = w.event, w.event.column(field.name)
    condition = w.untidy(field, column)
    value = condition.sql.split(" = ")[1]
    plain = condition.sql.replace("lower(trim(", "").replace("))", "")
    more = [c for c in w.conditions(event, 1) if w.rng.random() < 0.3]
    found = [*more, condition]
    tail = " and ".join(c.tail for c in found)
    rivals = [
        f"SELECT count(*) {w.tables(event)} WHERE {c}"
        for c in (plain, f"lower({column}) = {value}", f"trim({column}) = {value}")
    ]
    if w.rng.random() < 0.6:
        return Draft(
            w.how_many(event.many, tail), f"SELECT count(*) {w.tables(event)}{_where(found)}",
            () if more else tuple(rivals),
        )  # fmt: skip
    (money,) = event.of("money")
    total, asked = w.total(money, event.column(money.name), "sum", inside=True)
    return Draft(
        w.tell(f"the total {money.words}{asked} of the {event.many} that {tail}"),
        f"SELECT {total} {w.tables(event)}{_where(found)}",
    )


@_family
def _untidy_groups(w: Writer) -> Draft | None:
    field = w.field(w.event, "untidy")
    if not field:
        return None
    event, clean = w.event, f"lower(trim({w.event.column(field.name)}))"
    care = w.pick(
        "treating different spellings in case and surrounding spaces as the same",
        "ignoring case and blanks at either end",
        "regardless of upper or lower case and stray spaces",
    )
    order = w.rng.random() < 0.6
    question = w.pick(
        w.show(f"the {field.words} in lower case and the number of {event.many}, {care}"
               f"{', the most frequent first' if order else ''}"),
        f"How many {event.many} are there per {field.words} (in lower case), {care}"
        f"{', most common first' if order else ''}?",
    )  # fmt: skip
    return Draft(
        question,
        f"SELECT {clean}, count(*) {w.tables(event)} GROUP BY {clean}"
        f"{' ORDER BY count(*) DESC' if order else ''}",
    )


@_family
def _top(w: Writer) -> Draft | None:
    entity = w.pick_entity()
    field = w.field(entity, "money", "number")
    if not field:
        return None
    column, label = entity.column(field.name), entity.label[0]
    count = w.rng.choice((1, 3, 3, 5, 10))
    most = w.rng.random() < 0.75
    found = w.conditions(entity, 1) if w.rng.random() < 0.35 else []
    found = [c for c in found if c.about != field.words]
    both = w.rng.random() < 0.6
    number = {3: w.pick("3", "three"), 5: w.pick("5", "five"), 10: "10"}.get(count, "")
    one, many = (w.extreme(noun, field, most) for noun in (entity.one, entity.many))
    if count == 1:
        shown = f"the {label.words} and {field.words}" if both else f"the {label.words}"
        what = f"{shown} of the {one}"
        what += f" among the {entity.many}{w.that(found)}" if found else ""
        question = w.show(what).replace("What are", "What is")
    else:
        shown = f"the {label.words} and {field.words}" if both else w.names(entity)
        only = f", only among those{w.that(found)}" if found else ""
        question = w.show(f"{shown} of the {number} {many}{only}")
    return Draft(
        question,
        f"SELECT {w.name_of(entity)}{f', {column}' if both else ''} {w.tables(entity)}"
        f"{_where(found)} ORDER BY {column} {'DESC' if most else 'ASC'} LIMIT {count}",
    )


@_family
def _top_in_group(w: Writer) -> Draft | None:
    """The first of each group: a rank, taken in a WITH query."""
    event, (money,) = w.event, w.event.of("money")
    group = w.group(event)
    most, count = w.rng.random() < 0.8, w.rng.choice((1, 2, 2, 3))
    label, column = event.label[0], event.column(money.name)
    if group.output.lower() in (label.name.lower(), money.name.lower()):
        return None
    end = f"{'highest' if most else 'lowest'} {money.words}"
    which = f"the {event.one} with the {end}" if count == 1 else (
        f"the {w.pick(str(count), {2: 'two', 3: 'three'}[count])} {event.many} with the {end}"
    )  # fmt: skip
    question = w.pick(
        f"For each {group.words}, show the {group.shown}, and the {label.words} and {money.words} "
        f"of {which}{w.pick(' (ties included)', '')}.",
        f"Within each {group.words}, find {which}. Show the {group.shown}, the {event.one}'s "
        f"{label.words} and its {money.words}.",
        f"What {'is' if count == 1 else 'are'} {which} per {group.words}? List {group.shown}, "
        f"{label.words} and {money.words}.",
    )
    columns = ", ".join(map(quote_identifier, (group.output, label.name, money.name)))
    return Draft(
        question,
        f"WITH ranked AS (SELECT {group.select}, {w.name_of(event)}, {column}, rank() OVER "
        f"(PARTITION BY {group.key} ORDER BY {column} {'DESC' if most else 'ASC'}) AS place "
        f"{w.tables(*group.entities)}) "
        f"SELECT {columns} FROM ranked WHERE place <= {count}".replace("<= 1", "= 1"),
    )


def _totals(w: Writer) -> tuple[str, str, int | None, str]:
    """A WITH query of totals by month or year; its unit, the digits that are asked for, and the
    words for what it holds."""
    event, (start,), (money,) = w.event, w.event.of("date"), w.event.of("money")
    column = event.column(start.name)
    unit = w.pick("month", "month", "year")
    period = (month_of if unit == "month" else year_of)(column, start.form)
    where = when = ""
    if unit == "month":
        year = w.rng.randint(2021, 2024)
        where, when = f" WHERE {in_year(column, start.form, year)}", f" in {year}"
    value, digits = "count(*)", None
    words = f"number of {event.many} {start.verb}{when}"
    if w.rng.random() < 0.5:
        value, digits, asked = w.amount(money, f"sum({event.column(money.name)})")
        asked = asked and f" ({asked})"
        words = f"total {money.words}{asked} of the {event.many} {start.verb}{when}"
    query = (
        f"WITH totals AS (SELECT {period} AS period, {value} AS amount {w.tables(event)}{where} "
        f"GROUP BY {period})"
    )
    return query, unit, digits, words


@_family
def _running_total(w: Writer) -> Draft | None:
    query, unit, digits, words = _totals(w)
    both = w.rng.random() < 0.7
    question = w.pick(
        f"Show each {unit}, {f'the {words}, ' if both else ''}and the running total of "
        f"{'that' if both else f'the {words}'}, in order of time.",
        f"For every {unit} in order: {f'the {words}, ' if both else ''}and "
        f"{'its' if both else 'the'} cumulative total{'' if both else f' of the {words}'}.",
        f"How does the {words} add up {unit} by {unit}? List the {unit}"
        f"{', the value' if both else ''} and the running total, oldest first.",
    )
    amount = f"{rounded('amount', digits)}, " if both else ""
    running = rounded("sum(amount) OVER (ORDER BY period)", digits)
    return Draft(question, f"{query} SELECT period, {amount}{running} FROM totals ORDER BY period")


@_family
def _change(w: Writer) -> Draft | None:
    query, unit, digits, words = _totals(w)
    question = w.pick(
        f"For each {unit}, show the {words} and the change from the previous {unit}, in order of "
        "time.",
        f"How did the {words} change from one {unit} to the next? Show {unit}, value and "
        "difference, oldest first.",
        f"List every {unit} with the {words} and its difference to the {unit} before, "
        "chronologically.",
    )
    amount = rounded("amount", digits)
    change = rounded("amount - lag(amount) OVER (ORDER BY period)", digits)
    return Draft(question, f"{query} SELECT period, {amount}, {change} FROM totals ORDER BY period")


@_family
def _at_least(w: Writer) -> Draft | None:
    """HAVING over one hop, or two."""
    thing, event, line = w.thing, w.event, w.line
    deep = w.rng.random() < 0.35
    counted = line if deep else event
    limit = w.rng.randint(2, 9) * (2 if deep else 1)
    found = [] if deep or w.rng.random() < 0.5 else w.conditions(event, 1)
    words, sign = w.rng.choice(
        ((f"more than {limit}", ">"), (f"at least {limit}", ">="), (f"{limit} or more", ">="),
         (f"fewer than {limit}", "<"), (f"exactly {limit}", "="))
    )  # fmt: skip
    both = w.rng.random() < 0.5
    name = thing.label[0].words
    some = " (but at least one)" if sign == "<" else ""
    through = f" over all their {event.many}" if deep else ""
    tail = f"have {words} {counted.many}{w.that(found)}{through}{some}"
    question = w.pick(
        f"Which {thing.many} {tail}?{f' Show the {name} and the number.' if both else ''}",
        w.show(f"{f'the {name} and number of {counted.many}' if both else w.names(thing)} of the "
               f"{thing.many} that {tail}"),
    )  # fmt: skip
    entities = (line, event, thing) if deep else (event, thing)
    return Draft(
        question,
        f"SELECT {w.name_of(thing)}{', count(*)' if both else ''} "
        f"{w.tables(*entities)}{_where(found)} GROUP BY {thing.column(thing.key)} HAVING count(*) "
        f"{sign} {limit}",
    )


@_family
def _revenue(w: Writer) -> Draft | None:
    """sum(a * b) over joins: of everything, by a group, or of the best."""
    line, event, thing = w.line, w.event, w.thing
    (price,), (amount,), (kind,) = line.of("money"), line.of("number"), line.of("category")
    product = f"{line.column(amount.name)} * {line.column(price.name)}"
    total, asked = w.total(price, product, "sum", inside=True)
    product_words = f"{amount.words} times {price.words}"
    words = w.pick(
        f"revenue ({', '.join(filter(None, (product_words, asked.strip(' ()'))))})",
        f"sum of {product_words}{asked}", f"total of {product_words}{asked}",
        f"turnover, that is {product_words}{asked},",
    )  # fmt: skip
    group = w.rng.choice(("all", "kind", "thing", "event", "period", "status"))
    if group == "all":
        condition = w.condition(event, "date", "category")
        if not condition:
            return None
        return Draft(
            w.tell(f"the {words} of all {line.many} of {event.many} that {condition.tail}"),
            f"SELECT {total} {w.tables(line, event)} WHERE {condition.sql}",
        )
    if group == "kind":
        key, shown, entities = line.column(kind.name), kind.words, (line,)
        select = key
    elif group == "thing":
        key, shown = thing.column(thing.key), f"{thing.label[0].words} of each {thing.one}"
        select, entities = w.name_of(thing), (line, event, thing)
    elif group == "event":
        key, shown = event.column(event.key), f"{event.label[0].words} of each {event.one}"
        select, entities = w.name_of(event), (line, event)
    elif group == "period":
        (start,) = event.of("date")
        key = select = year_of(event.column(start.name), start.form)
        shown, entities = f"year in which the {event.one} was {start.verb}", (line, event)
    else:
        field = w.field(event, "category")
        if not field:
            return None
        key = select = event.column(field.name)
        shown, entities = f"{field.words} of the {event.many}", (line, event)
    sql = f"SELECT {select}, {total} {w.tables(*entities)} GROUP BY {key}"
    what = f"the {shown} and the {words} of the {line.many}"
    if group == "period":
        return Draft(w.show(f"{what}, in order of the years"), f"{sql} ORDER BY {key}")
    if group == "event" or w.rng.random() < 0.5:
        count = w.rng.choice((3, 5))
        return Draft(
            w.show(f"{what}, only the {count} highest, largest first"),
            f"{sql} ORDER BY {total} DESC LIMIT {count}",
        )
    return Draft(w.show(f"{what}, the largest first"), f"{sql} ORDER BY {total} DESC")


@_family
def _buckets(w: Writer) -> Draft | None:
    event, (money,) = w.event, w.event.of("money")
    column = event.column(money.name)
    low, high = w.rng.choice(((50, 150), (60, 200), (80, 250), (100, 300), (40, 120)))
    scale, unit = (100, " euros") if money.form == "cents" else (1, "")
    names = w.rng.choice(
        (("low", "medium", "high"), ("small", "medium", "large"), ("cheap", "average", "expensive"))
    )
    case = (
        f"CASE WHEN {column} < {low * scale} THEN '{names[0]}' WHEN {column} <= {high * scale} "
        f"THEN '{names[1]}' ELSE '{names[2]}' END"
    )
    rules = (
        f"'{names[0]}' below {low}{unit}, '{names[1]}' from {low} to {high}{unit}, '{names[2]}' "
        f"above that"
    )
    if w.rng.random() < 0.7:
        question = w.pick(
            f"Group the {event.many} by {money.words} into {rules}. How many are in each group? "
            "Show the group and the count.",
            f"How many {event.many} are there by class of {money.words} ({rules})? Show the class "
            "and the number.",
        )
        return Draft(question, f"SELECT {case}, count(*) {w.tables(event)} GROUP BY {case}")
    condition = w.condition(event, "date", "category")
    if not condition:
        return None
    return Draft(
        w.show(f"the {event.label[0].words} and the class of {money.words} ({rules}) of the "
               f"{event.many} that {condition.tail}"),
        f"SELECT {w.name_of(event)}, {case} {w.tables(event)} WHERE {condition.sql}",
    )  # fmt: skip


@_family
def _text(w: Writer) -> Draft | None:
    """Length, first letters, capitals, parts of a text, patterns."""
    thing, column, name = w.thing, w.name_of(w.thing), w.thing.label[0].words
    many, tables = thing.many, w.tables(w.thing)
    mail = next((f for f in thing.of("contact") if f.words == "e-mail"), None)
    some = w.rng.choice(thing.label[0].values)
    letter, word = some[0].upper(), w.rng.choice(some.split())
    length = w.rng.randint(5, 16)
    options = [
        (w.show(f"the {name} of each of the {many} and its length in characters, longest first"),
         f"SELECT {column}, length({column}) {tables} ORDER BY length({column}) DESC"),
        (f"Which {many} have a {name} of more than {length} characters? Show the {name}.",
         f"SELECT {column} {tables} WHERE length({column}) > {length}"),
        (w.show(f"{w.names(thing)} of all {many} in capital letters, in alphabetical order"),
         f"SELECT upper({column}) {tables} ORDER BY {column}"),
        (w.show(f"{w.names(thing)} of the {many} whose {name} starts with '{letter}'"),
         f"SELECT {column} {tables} WHERE {column} LIKE {literal(letter + '%')}"),
        (f"Which {many} have '{word}' in their {name}?",
         f"SELECT {column} {tables} WHERE {column} LIKE {literal(f'%{word}%')}"),
        (f"How many {many} are there for each first letter of the {name}? Show the letter and the "
         "number, in alphabetical order.",
         f"SELECT substr({column}, 1, 1), count(*) {tables} GROUP BY substr({column}, 1, 1) ORDER "
         f"BY substr({column}, 1, 1)"),
        (f"What is the longest {name} of {_an(thing.one)}, and how many characters does it have?",
         f"SELECT {column}, length({column}) {tables} ORDER BY length({column}) DESC LIMIT 1"),
    ]  # fmt: skip
    if mail:
        address = thing.column(mail.name)
        domain = f"substr({address}, instr({address}, '@') + 1)"
        options += 2 * [
            (f"How many {many} use each e-mail domain (the part after the @)? Leave out those "
             "without an e-mail.",
             f"SELECT {domain}, count(*) {tables} WHERE {address} IS NOT NULL GROUP BY {domain}"),
            (f"How many {many} have an e-mail address at example.org?",
             f"SELECT count(*) {tables} WHERE {address} LIKE '%@example.org'"),
        ]  # fmt: skip
    return Draft(*w.rng.choice(options))


@_family
def _whole_row(w: Writer) -> Draft | None:
    """Everything about the extreme row, and all rows that share the extreme."""
    entity = w.pick_entity()
    field = w.field(entity, "number", "money")
    if not field:
        return None
    column, most = entity.column(field.name), w.rng.random() < 0.6
    end, function = ("highest", "max") if most else ("lowest", "min")
    if w.rng.random() < 0.5:
        question = w.pick(
            f"Show everything about the {entity.one} with the {end} {field.words}.",
            f"Show all columns of the {entity.one} that has the {end} {field.words}.",
            f"Give me the whole row of the {entity.one} with the {end} {field.words}.",
        )
        return Draft(
            question,
            f"SELECT * {w.tables(entity)} ORDER BY {column} {'DESC' if most else 'ASC'} LIMIT 1",
        )
    question = w.show(
        f"{w.names(entity)} of all {entity.many} that share the {end} {field.words}, ties included"
    )
    return Draft(
        question,
        f"SELECT {w.name_of(entity)} {w.tables(entity)} WHERE {column} = (SELECT "
        f"{function}({column}) {w.tables(entity)})",
    )


@_family
def _side_by_side(w: Writer) -> Draft | None:
    """Counts under several conditions in one row, or in one row of each group."""
    event = w.event
    field = w.field(event, "category", "flag", "end")
    if not field:
        return None
    column = event.column(field.name)
    if field.kind == "category" and len(field.values) > 1:
        one, two = w.rng.sample(field.values, 2)
        first = Condition(f"have {field.words} '{one}'", f"{column} = {literal(one)}", field.words)
        second = Condition(f"have {field.words} '{two}'", f"{column} = {literal(two)}", field.words)
    elif field.kind == "flag":
        first = Condition(f"are {field.words}", f"{column} = 1", field.words)
        second = Condition(f"are not {field.words}", f"{column} = 0", field.words)
    else:
        first = Condition(f"have been {field.verb}", f"{column} IS NOT NULL", field.words)
        second = Condition(f"have not been {field.verb}", f"{column} IS NULL", field.words)
    counts = f"sum({first.sql}), sum({second.sql})"
    if w.rng.random() < 0.45:
        question = w.pick(
            f"How many {event.many} {first.tail}, and how many {second.tail}? Show the two numbers "
            "side by side.",
            f"In one row: the number of {event.many} that {first.tail} and the number that "
            f"{second.tail}.",
        )
        return Draft(question, f"SELECT {counts} {w.tables(event)}")
    group = w.group(event)
    if group.about == field.words:
        return None
    question = w.pick(
        f"For each {group.words}, show the {group.shown}, how many {event.many} {first.tail} and "
        f"how many {second.tail}.",
        f"Per {group.words}: the {group.shown}, the number of {event.many} that {first.tail}, and "
        f"the number that {second.tail}.",
    )
    return Draft(
        question,
        f"SELECT {group.select}, {counts} {w.tables(*group.entities)} GROUP BY {group.key}",
    )


@_family
def _view(w: Writer) -> Draft | None:
    event = w.event
    if not event.view:
        return None
    name, word = event.view
    view = dataclasses.replace(event, table=name, many=f"{word} {event.many}")
    (money,), (start,) = event.of("money"), event.of("date")
    column = view.column(money.name)
    tables = w.tables(view)
    total, asked = w.total(money, column, "sum")
    dated = w.dated(start, view.column(start.name))
    limit = w.rng.choice((3, 5))
    question, sql = w.rng.choice((
        (w.how_many(view.many, dated.tail), f"SELECT count(*) {tables} WHERE {dated.sql}"),
        (w.tell(f"the total {money.words} of the {view.many}{asked}"), f"SELECT {total} {tables}"),
        (w.show(f"{w.names(event)} of the {limit} {view.many} with the highest {money.words}"),
         f"SELECT {w.name_of(view)} {tables} ORDER BY {column} DESC LIMIT {limit}"),
    ))  # fmt: skip
    return Draft(question, sql)


@_family
def _fill_in(w: Writer) -> Draft | None:
    """COALESCE: a word in place of what is missing."""
    entity = w.pick_entity()
    field = w.field(entity, "contact", "note")
    found = w.conditions(entity, 1)
    if not field or not found or found[0].about == field.words:
        return None
    found = found if entity is w.event or w.rng.random() < 0.4 else []
    word = w.pick("none", "unknown", "n/a", "missing", "-")
    name = entity.label[0].words
    question = w.pick(
        w.show(f"the {name} and {field.words} of the {entity.many}{w.that(found)}, with '{word}' "
               f"where there is no {field.words}"),
        f"For the {entity.many}{w.that(found)}, list {name} and {field.words}; write '{word}' if "
        f"the {field.words} is missing.",
    ) if found else w.pick(
        w.show(f"the {name} and {field.words} of all {entity.many}, with '{word}' where there is "
               f"no {field.words}"),
        f"List {name} and {field.words} of every one of the {entity.many}; put '{word}' for a "
        f"missing {field.words}.",
    )  # fmt: skip
    select = f"SELECT {w.name_of(entity)}, "
    column = entity.column(field.name)
    rest = f" {w.tables(entity)}{_where(found)}"
    return Draft(
        question, f"{select}coalesce({column}, {literal(word)}){rest}", (f"{select}{column}{rest}",)
    )


@_family
def _days(w: Writer) -> Draft | None:
    """The time from start to end, in days."""
    event, (start,), (end,) = w.event, w.event.of("date"), w.event.of("end")
    first, last = event.column(start.name), event.column(end.name)
    if start.form == "epoch":
        days = f"({last} - {first}) / 86400.0"
    elif start.form in ("iso", "datetime"):
        days = f"julianday({last}) - julianday({first})"
    else:
        days = f"julianday({day_of(last, end.form)}) - julianday({day_of(first, start.form)})"
    between = w.pick(
        f"from being {start.verb} to being {end.verb}",
        f"between the {start.words} and the {end.words}",
    )
    limit = w.rng.choice((14, 20, 30, 40, 50))
    name = event.label[0].words
    group = w.group(event)
    question, sql = w.rng.choice((
        (w.tell(f"the average number of days {between} of the {event.many}, rounded to one "
                f"decimal"),
         f"SELECT round(avg({days}), 1) {w.tables(event)}"),
        (w.how_many(event.many, f"took more than {limit} days {between}"),
         f"SELECT count(*) {w.tables(event)} WHERE {days} > {limit}"),
        (w.show(f"{w.names(event)} of the {event.many} that took longer than {limit} days "
                f"{between}"),
         f"SELECT {w.name_of(event)} {w.tables(event)} WHERE {days} > {limit}"),
        (f"For each {group.words}, show the {group.shown} and the average number of days "
         f"{between}, to one decimal, over {group.whose} {event.many}.",
         f"SELECT {group.select}, round(avg({days}), 1) {w.tables(*group.entities)} GROUP BY "
         f"{group.key}"),
        (f"Which {event.one} took the longest {between}? Show its {name} and the days, rounded to "
         "one decimal.",
         f"SELECT {w.name_of(event)}, round({days}, 1) {w.tables(event)} ORDER BY {days} DESC "
         f"LIMIT 1"),
    ))  # fmt: skip
    return Draft(question, sql)


@_family
def _above_average(w: Writer) -> Draft | None:
    entity = w.pick_entity()
    field = w.field(entity, "number", "money")
    if not field:
        return None
    column, above = entity.column(field.name), w.rng.random() < 0.7
    side = "above" if above else "below"
    tail = f"{w.pick('have', 'have got')} {_an(field.words)} {side} the average"
    condition = f"WHERE {column} {'>' if above else '<'} (SELECT avg({column}) {w.tables(entity)})"
    if w.rng.random() < 0.5:
        return Draft(
            w.how_many(entity.many, tail), f"SELECT count(*) {w.tables(entity)} {condition}"
        )
    return Draft(
        w.show(f"the {entity.label[0].words} and {field.words} of the {entity.many} that {tail}, "
               f"{'largest' if above else 'smallest'} first"),
        f"SELECT {w.name_of(entity)}, {column} {w.tables(entity)} {condition} ORDER BY {column} "
        f"{'DESC' if above else 'ASC'}",
    )  # fmt: skip


@_family
def _last_time(w: Writer) -> Draft | None:
    """The first or last date of each thing's events."""
    event, thing, (start,) = w.event, w.thing, w.event.of("date")
    function, name = w.rng.choice((("max", "last"), ("max", "latest"), ("min", "first")))
    column = event.column(start.name)
    if start.form == "epoch":
        value, shape = f"date({function}({column}), 'unixepoch')", " (as YYYY-MM-DD)"
    elif start.form == "iso":
        value, shape = f"{function}({column})", ""
    else:
        value, shape = f"{function}({day_of(column, start.form)})", " (as YYYY-MM-DD)"
    label = thing.label[0].words
    question = w.pick(
        f"When was the {name} {event.one} of each {thing.one} {start.verb}{shape}? Show the "
        f"{label} and the date.",
        w.show(f"the {label} of each {thing.one} that has {event.many}, with the day{shape} their "
               f"{name} one was {start.verb}"),
    )  # fmt: skip
    return Draft(
        question,
        f"SELECT {w.name_of(thing)}, {value} {w.tables(event, thing)} GROUP BY "
        f"{thing.column(thing.key)}",
    )


@_family
def _zero_included(w: Writer) -> Draft | None:
    """How many per thing: with those that have none, or without."""
    event, thing = w.event, w.thing
    label = thing.label[0].words
    keys = f"{event.column(event.link)} = {thing.column(thing.key)}"
    group = f"GROUP BY {thing.column(thing.key)}"
    inner = f"SELECT {w.name_of(thing)}, count(*) {w.tables(event, thing)} {group}"
    outer = (
        f"SELECT {w.name_of(thing)}, count({event.column(event.key)}) FROM "
        f"{quote_identifier(thing.table)} LEFT JOIN {quote_identifier(event.table)} ON {keys} "
        f"{group}"
    )
    what = f"the {label} of each {thing.one} and their number of {event.many}"
    if w.rng.random() < 0.6:
        zero = w.pick(
            "including those with none", "also those that have none", "with 0 where there are none"
        )
        return Draft(
            w.pick(
                w.show(f"{what}, {zero}"),
                f"How many {event.many} does each {thing.one} have, {zero}? Show the {label} and "
                f"the number.",
            ),
            outer, (inner,),
        )  # fmt: skip
    return Draft(
        w.show(f"{what}, {w.pick('leaving out those without any', 'only those that have some')}"),
        inner,
        (outer,),
    )


@_family
def _distinct_things(w: Writer) -> Draft | None:
    event, thing = w.event, w.thing
    found = w.conditions(event, 1)
    if not found:
        return None
    if w.rng.random() < 0.5:
        return Draft(
            w.pick(
                f"How many different {thing.many} have {event.many}{w.that(found)}?",
                f"What is the number of distinct {thing.many} among the "
                f"{event.many}{w.that(found)}?",
            ),
            f"SELECT count(DISTINCT {event.column(event.link)}) {w.tables(event)}{_where(found)}",
            (f"SELECT count({event.column(event.link)}) {w.tables(event)}{_where(found)}",),
        )
    return Draft(
        w.pick(
            w.show(f"{w.names(thing)} of the {thing.many} that have {event.many}"
                   f"{w.that(found)}, each only once"),
            f"Which {thing.many} have {event.many}{w.that(found)}? Show each "
            f"{thing.label[0].words} once.",
        ),
        f"SELECT DISTINCT {w.name_of(thing)} {w.tables(event, thing)}{_where(found)}",
    )  # fmt: skip


@_family
def _across_tables(w: Writer) -> Draft | None:
    """Lines or events of one named thing, over one to three tables."""
    thing, event, line = w.thing, w.event, w.line
    name = w.rng.choice(thing.label[0].values)
    is_named = f"{w.name_of(thing)} = {literal(name)}"
    (amount,), (kind,), (money,) = line.of("number"), line.of("category"), event.of("money")
    total, asked = w.total(money, event.column(money.name), "sum")
    who = w.pick(f"the {thing.one} '{name}'", f"the {thing.one} {name}")
    condition = w.condition(event, "date", "category", "flag", "end")
    assert condition
    deep = w.tables(line, event, thing)
    question, sql = w.rng.choice((
        (f"How many {line.many} do the {event.many} of {who} have in all?",
         f"SELECT count(*) {deep} WHERE {is_named}"),
        (w.tell(f"the total {amount.words} over all {line.many} of {who}"),
         f"SELECT sum({line.column(amount.name)}) {deep} WHERE {is_named}"),
        (f"Which {kind.words} values occur in the {line.many} of {who}? Show each once.",
         f"SELECT DISTINCT {line.column(kind.name)} {deep} WHERE {is_named}"),
        (w.tell(f"the total {money.words} of the {event.many} of {who}{asked}"),
         f"SELECT {total} {w.tables(event, thing)} WHERE {is_named}"),
        (w.how_many(f"{event.many} of {who}", condition.tail),
         f"SELECT count(*) {w.tables(event, thing)} WHERE {is_named} AND {condition.sql}"),
        (w.show(f"the {event.label[0].words} and {money.words} of the {event.many} of {who} that "
                f"{condition.tail}"),
         f"SELECT {w.name_of(event)}, {event.column(money.name)} {w.tables(event, thing)} WHERE "
         f"{is_named} AND {condition.sql}"),
    ))  # fmt: skip
    return Draft(question, sql)


@_family
def _owners(w: Writer) -> Draft | None:
    """What happened to the things of each owner: three tables and more."""
    event, thing, owner = w.event, w.thing, w.thing.parent
    if not owner or owner.one == thing.one:
        return None
    (money,) = event.of("money")
    found = w.conditions(event, 1) if w.rng.random() < 0.4 else []
    only = f", counting only {event.many} that {found[0].tail}" if found else ""
    value, words = "count(*)", f"number of {event.many}"
    if w.rng.random() < 0.5:
        value, asked = w.total(money, event.column(money.name), "sum", inside=True)
        words = f"total {money.words}{asked} of the {event.many}"
    name = owner.label[0].words
    sql = (
        f"SELECT {w.name_of(owner)}, {value} {w.tables(event, thing, owner)}{_where(found)} "
        f"GROUP BY {owner.column(owner.key)} ORDER BY {value} DESC"
    )
    if w.rng.random() < 0.3:
        what = f"the {name} of the {owner.one} whose {thing.many} have the highest {words}"
        one = w.show(f"{what}, and that value{only}").replace("What are", "What is")
        return Draft(one, f"{sql} LIMIT 1")
    what = f"the {name} of each {owner.one} and the {words} of all their {thing.many}"
    return Draft(w.show(f"{what}{only}, largest first"), sql)


@_family
def _newest(w: Writer) -> Draft | None:
    entity = w.pick_entity()
    field = w.field(entity, "date")
    if not field:
        return None
    column, name, count = entity.column(field.name), entity.label[0].words, w.rng.choice((1, 3, 5))
    order = day_of(column, field.form) if field.form in ("dmy", "mdy") else column
    found = [c for c in w.conditions(entity, 1) if c.about != field.words]
    found = found if w.rng.random() < 0.5 else []
    which = f"the {entity.one}" if count == 1 else f"the {count} {entity.many}"
    names = f"the {name}" if count == 1 else w.names(entity)
    question = w.show(
        f"{names} of {which} most recently {field.verb.removeprefix('last ')}"
        f"{f', of those{w.that(found)}' if found else ''}"
    )
    return Draft(
        question.replace("What are", "What is") if count == 1 else question,
        f"SELECT {w.name_of(entity)} {w.tables(entity)}{_where(found)} ORDER BY {order} DESC LIMIT "
        f"{count}",
    )


@_family
def _by_two(w: Writer) -> Draft | None:
    event, (start,) = w.event, w.event.of("date")
    field = w.field(event, "category")
    if not field:
        return None
    column = event.column(field.name)
    year = year_of(event.column(start.name), start.form)
    question = w.pick(
        f"How many {event.many} were {start.verb} per year and {field.words}? Show the year, the "
        f"{field.words} and the number, sorted by year and then {field.words}.",
        w.show(f"the number of {event.many} for each year they were {start.verb} in and each "
               f"{field.words}: year, {field.words}, number, ordered by year, then by "
               f"{field.words}"),
    )  # fmt: skip
    return Draft(
        question,
        f"SELECT {year}, {column}, count(*) {w.tables(event)} GROUP BY {year}, {column} ORDER BY "
        f"{year}, {column}",
    )


@_family
def _group_counts(w: Writer) -> Draft | None:
    """Which group has most, or how many in each."""
    entity = w.pick_entity()
    if entity is w.event:
        group = w.group(entity)
    elif field := w.field(entity, "category"):
        column = entity.column(field.name)
        group = Group(field.words, field.words, column, column, field.name, (entity,), field.words)
    else:
        return None
    found = [c for c in w.conditions(entity, 1) if c.about != group.about]
    found = found if w.rng.random() < 0.5 else []
    tables = w.tables(*group.entities)
    start = f"SELECT {group.select}, count(*) {tables}{_where(found)} GROUP BY {group.key}"
    kind = w.rng.random()
    if kind < 0.3:
        return Draft(
            f"Which {group.words} has the most {entity.many}{w.that(found)}? Show the "
            f"{group.shown} and the number.",
            f"{start} ORDER BY count(*) DESC LIMIT 1",
        )
    if kind < 0.55 and group.about:
        question = w.pick(
            f"How many {entity.many}{w.that(found)} are there per {group.words}?",
            f"How many {entity.many}{w.that(found)} are there for each {group.words}?",
            f"Count the {entity.many}{w.that(found)} by {group.words}.",
        )
        return Draft(question, start)
    question = w.pick(
        f"How many {entity.many}{w.that(found)} are there per {group.words}, the largest number "
        f"first? Show the {group.shown} and the number.",
        w.show(
            f"the {group.shown} and the number of {entity.many}{w.that(found)} for each "
            f"{group.words}, the largest number first"
        ),
    )
    return Draft(question, f"{start} ORDER BY count(*) DESC")


# --- proof ----------------------------------------------------------------------------


class _Unproved(Exception):
    """Why a draft is not kept."""


class _Prover:
    """Judges drafts on one open database."""

    def __init__(self, database: Database) -> None:
        from t2sql_tui.core.guard import Guard

        self.database = database
        self.guard = Guard(database.schema)

    def prove(self, draft: Draft) -> str:
        """The SQL in the style that is trained on. Raises: _Unproved."""
        try:
            sql = by_names(draft.sql, self.database.schema)
        except ValueError as error:
            raise _Unproved("not readable") from error
        if not self.guard.allows(sql, True):
            raise _Unproved("not for the schema-true decoder")
        rows = self._rows(sql)
        if rows != self._rows(draft.sql):
            raise _Unproved("other rows in the style")
        cells = [cell for row in rows for cell in row]
        if not rows:
            raise _Unproved("empty")
        if len(rows) > ROWS:
            raise _Unproved("too many rows")
        if all(cell is None for cell in cells) or any(not any(column) for column in zip(*rows)):
            raise _Unproved("nothing but NULL or 0 in a column")
        if self._tied(sql):
            raise _Unproved("a tie at the limit")
        for rival in draft.rivals:
            if _bag(self._rows(rival)) == _bag(rows):
                raise _Unproved("another reading gives the same rows")
        for weaker in _weaker(sql):
            if _bag(self._rows(weaker)) == _bag(rows):
                raise _Unproved("a condition does not matter")
        return sql

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        from t2sql_tui.core.check import check

        checked = check(sql, self.database)
        if not isinstance(checked, CheckedQuery):
            raise _Unproved(f"does not pass the check: {checked.message}")
        try:
            return list(self.database.run(checked, PROOF).rows)
        except T2SQLError as error:
            raise _Unproved(f"does not run: {error.message}") from error

    def _tied(self, sql: str) -> bool:
        """Whether the first row that LIMIT cuts off has as much right as the last it keeps."""
        import sqlglot
        from sqlglot import exp

        tree = sqlglot.parse_one(sql, read="sqlite")
        limit, order = tree.args.get("limit"), tree.args.get("order")
        if not limit or not order or not isinstance(tree, exp.Select):
            return False
        count = int(limit.expression.this)
        keys = [
            exp.alias_(ordered.this.copy(), f"key_{place}")
            for place, ordered in enumerate(order.expressions)
        ]
        longer = tree.select(*keys).limit(count + 1).sql(dialect="sqlite")
        rows = [row[-len(keys) :] for row in self._rows(longer)]
        return len(rows) > count and rows[count - 1] == rows[count]


def _bag(rows: list[tuple[Any, ...]]) -> Counter:
    return Counter(rows)


def _weaker(sql: str) -> Iterator[str]:
    """`sql` without one of its conditions, for each of them."""
    import sqlglot
    from sqlglot import exp

    places = [
        (place, len(list(clause.this.flatten())) if isinstance(clause.this, exp.And) else 1)
        for place, clause in enumerate(
            sqlglot.parse_one(sql, read="sqlite").find_all(exp.Where, exp.Having)
        )
    ]
    for place, count in places:
        for dropped in range(count):
            tree = sqlglot.parse_one(sql, read="sqlite")
            clause = list(tree.find_all(exp.Where, exp.Having))[place]
            parts = list(clause.this.flatten()) if count > 1 else [clause.this]
            kept = parts[:dropped] + parts[dropped + 1 :]
            if kept:
                clause.set("this", exp.and_(*kept))
            else:
                clause.pop()
            yield tree.sql(dialect="sqlite")


# --- the data set ---------------------------------------------------------------------


def read_synthetic(spider: Dataset, count: int, seed: int) -> Dataset:
    """`count` generated examples over copies of the databases of `spider`, made once for the
    same code, databases, count and seed, and kept in the trainer's cache. `notes` count what
    was rejected; rejected.jsonl beside the databases lists it.

    Raises: DataError if `spider` has no database with something to ask about.
    """
    text = json.dumps([count, seed, spider.sha256()]) + Path(__file__).read_text(encoding="utf-8")
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = cache_folder() / "synthetic" / key
    if not (folder / "synthetic.json").exists():
        with whole_folder(folder) as part:
            _generate(spider, count, seed, part)
    made = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))
    examples = tuple(Example(**row) for row in made["examples"])
    files = {e.database: (folder / f"{e.database}.sqlite",) for e in examples}
    reasons = ", ".join(f"{n} x {why}" for why, n in made["rejected"].items())
    return Dataset(
        examples,
        files,
        notes=(
            f"synthetic: {len(examples)} questions; by family: "
            + ", ".join(f"{n} {family}" for family, n in made["families"].items()),
            f"synthetic: drafts rejected: {reasons} ({folder / 'rejected.jsonl'})",
        ),
    )


def _generate(spider: Dataset, count: int, seed: int, folder: Path) -> None:
    names = [n for n in sorted(spider.files) if spider.files[n][0].stat().st_size < FILE_BYTES]
    random.Random(seed).shuffle(names)
    families: Counter[str] = Counter(dict.fromkeys(FAMILIES, 0))
    examples: list[Example] = []
    rejected: list[dict[str, str]] = []
    place = poor = 0
    while len(examples) < count:
        if poor == len(names):
            raise DataError(
                "No database has a table with a key and a name to ask about.",
                "Is --data-root the folder of Spider's training databases?",
            )
        name = names[place % len(names)]
        database = f"synthetic-{name}-{place // len(names) + 1}"
        place += 1
        file = folder / f"{database}.sqlite"
        rng = random.Random(f"{seed}/{database}")
        world = _copy(spider.files[name][0], spider.tables[name], file, rng)
        if world is None:
            poor += 1
            continue
        poor = 0
        wanted = min(PER_DATABASE, count - len(examples))
        made = _ask(database, file, Writer(world, rng), wanted, families, rejected)
        examples += made
    write_json(
        folder / "synthetic.json",
        {
            "examples": [dataclasses.asdict(e) for e in examples],
            "families": dict(sorted(families.items())),
            "rejected": dict(Counter(r["reason"].split(":")[0] for r in rejected).most_common()),
        },
    )
    with (folder / "rejected.jsonl").open("w", encoding="utf-8") as out:
        for row in rejected:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _copy(source: Path, entry: dict[str, Any], file: Path, rng: random.Random) -> World | None:
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


def _owned(thing: Entity, things: list[Entity], schema: Schema) -> Entity:
    """With the thing that its foreign key points at as its parent, if there is one."""
    stored_ = schema.table(thing.table)
    for key in stored_.foreign_keys if stored_ else ():
        for other in things:
            if (key.table, key.ref_columns) == (other.table, (other.key,)) and other != thing:
                return dataclasses.replace(thing, parent=other, link=key.columns[0])
    return thing


def _ask(
    database: str,
    file: Path,
    writer: Writer,
    wanted: int,
    families: Counter[str],
    rejected: list[dict[str, str]],
) -> list[Example]:
    """Proved questions on one database, of the families that have the fewest so far."""
    examples: list[Example] = []
    seen: set[str] = set()
    with open_database(file) as opened:
        prover = _Prover(opened)
        order = sorted(FAMILIES, key=lambda name: (families[name], writer.rng.random()))
        for family in order:
            for _ in range(TRIES):
                draft = FAMILIES[family](writer)
                if draft is None or draft.question in seen:
                    continue
                try:
                    sql = prover.prove(draft)
                except _Unproved as why:
                    rejected.append(
                        {"database": database, "family": family, "reason": str(why),
                         "question": draft.question, "sql": draft.sql}
                    )  # fmt: skip
                    continue
                seen.add(draft.question)
                families[family] += 1
                id_ = f"{database}-{len(examples):02d}-{family}"
                examples.append(Example(id_, database, draft.question, sql, "synthetic", "train"))
                break
            if len(examples) == wanted:
                break
    return examples
