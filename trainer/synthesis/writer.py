"""Writes the parts of a question and the SQL of each: who is asked about, and under which
conditions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from t2sql_tui.core.english import plural_noun, with_article
from t2sql_tui.core.identifiers import quote_identifier
from trainer.synthesis.databases import Entity, Field, World
from trainer.synthesis.dates import day_of, in_year, month_of, year_of
from trainer.synthesis.vocabulary import ADJECTIVES, STATUS, UNDONE


@dataclass(frozen=True, slots=True)
class Draft:
    """A question and its SQL, yet to be proved. `rivals` are other readings, which must give
    other rows for the question to teach the difference."""

    question: str
    sql: str
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """`tail` completes "the bookings that ...", `about` names the column it tests."""

    tail: str
    sql: str
    about: str


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


_PERIODS = ("month", "months", "before", "after", "between", "since")


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
            return self.by(event, field)
        thing = self.thing
        own = self.field(thing, "category")
        if own and self.rng.random() < 0.35:
            column = thing.column(own.name)
            words = f"{thing.one} {own.words}"
            return Group(words, words, column, column, own.name, (event, thing))
        label = thing.label[0]
        return Group(
            thing.one,
            f"{thing.one} {label.words}",
            thing.column(thing.key),
            self.name_of(thing),
            label.name,
            (event, thing),
        )

    def by(self, entity: Entity, field: Field) -> Group:
        column = entity.column(field.name)
        return Group(field.words, field.words, column, column, field.name, (entity,), field.words)

    def names(self, entity: Entity) -> str:
        return f"the {plural_noun(entity.called)}"

    def extreme(self, noun: str, field: Field, most: bool) -> str:
        """ "repairs with the highest cost", or what people call those: "most expensive repairs"."""
        if field.words in ADJECTIVES and field.kind == "money" and self.rng.random() < 0.35:
            return f"{ADJECTIVES[field.words][0 if most else 1]} {noun}"
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
            f"Show {what}.",
            f"List {what}.",
            f"Give me {what}.",
            f"What {are} {what}?",
            f"Please list {what}.",
            f"I need {what}.",
            f"{what[0].upper()}{what[1:]}.",
            f"Can you show me {what}?",
            f"Find {what}.",
            f"Return {what}.",
        )

    def show_one(self, what: str) -> str:
        return self.show(what).replace("What are", "What is")

    def tell(self, what: str) -> str:
        """Asks for a single value."""
        return self.pick(
            f"What is {what}?",
            f"Tell me {what}.",
            f"Calculate {what}.",
            f"Give me {what}.",
            f"Show {what}.",
            f"{what[0].upper()}{what[1:]}?",
            f"I'd like to know {what}.",
        )

    def how_many(self, many: str, tail: str) -> str:
        return self.pick(
            f"How many {many} {tail}?",
            f"Count the {many} that {tail}.",
            f"What is the number of {many} that {tail}?",
            f"Number of {many} that {tail}",
            f"How many of the {many} {tail}?",
            f"I want to know how many {many} {tail}.",
        )

    def count(
        self, entity: Entity, found: Sequence[Condition], rivals: tuple[str, ...] = ()
    ) -> Draft:
        """How many rows fulfil all conditions."""
        question = self.how_many(entity.many, tails(found))
        return Draft(question, f"SELECT count(*) {self.tables(entity)}{where(found)}", rivals)

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
        clause = tails(conditions)
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
                return self.flagged(field, column, yes)
            case "number" | "money":
                return self._compared(entity, field, column)
            case "contact" | "note":
                return self._missing(field, column)
        raise ValueError(field.kind)

    def flagged(self, field: Field, column: str, yes: bool) -> Condition:
        tail = f"are {'' if yes else 'not '}{field.words}"
        return Condition(tail, f"{column} = {int(yes)}", field.words)

    def is_value(self, entity: Entity, field: Field) -> Condition:
        column, value = entity.column(field.name), self.rng.choice(field.values)
        kind = self.rng.random()
        verbs = {f.verb for f in entity.of("date", "end")}  # "are planned" may mean a date
        if field.words in STATUS and kind > 0.6 and not {value, f"{value}ed"} & verbs:
            return Condition(f"are {value}", f"{column} = {literal(value)}", field.words)
        if kind < 0.12 and len(field.values) > 2:
            other = self.rng.choice([v for v in field.values if v != value])
            return Condition(
                f"have the {field.words} '{value}' or '{other}'",
                f"{column} IN ({literal(value)}, {literal(other)})",
                field.words,
            )
        if kind < 0.22:
            tail = f"have {with_article(field.words)} other than '{value}'"
            return Condition(tail, f"{column} != {literal(value)}", field.words)
        tail = self.pick(
            f"have the {field.words} '{value}'",
            f"have {field.words} {value}",
            f"have '{value}' as their {field.words}",
        )
        return Condition(tail, f"{column} = {literal(value)}", field.words)

    def _missing(self, field: Field, column: str) -> Condition:
        if field.kind == "end":
            if self.rng.random() < 0.65:
                tail = self.pick(
                    f"have not been {field.verb} yet",
                    f"are not {field.verb} yet",
                    f"have no {field.words}",
                    f"were never {field.verb}",
                    f"are still un{field.verb}"
                    if field.verb in UNDONE
                    else f"are yet to be {field.verb}",
                )
                return Condition(tail, f"{column} IS NULL", field.words)
            tail = self.pick(f"have been {field.verb}", f"have a {field.words}")
            return Condition(tail, f"{column} IS NOT NULL", field.words)
        words = field.words
        if self.rng.random() < 0.65:
            tail = self.pick(
                f"have no {words}",
                f"do not have {with_article(words)}",
                f"lack {with_article(words)}",
                f"are missing {with_article(words)}",
            )
            return Condition(tail, f"{column} IS NULL", words)
        tail = self.pick(f"have {with_article(words)}", f"do have {with_article(words)}")
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
                    f"were {verb} in {year}",
                    f"have been {verb} during {year}",
                    f"have {with_article(field.words)} in {year}",
                )
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
        if field.kind == "number" and self.rng.random() < 0.4:
            average = f"(SELECT avg({column}) FROM {quote_identifier(entity.table)})"
            tail = f"have {with_article(field.words)} {side} the average of all {entity.many}"
            return Condition(tail, f"{column} {sign} {average}", field.words)
        if field.kind == "number":
            limit = shown = self.rng.choice(field.values)
        else:
            limit = self.rng.choice((40, 50, 75, 100, 120, 150, 200, 250))
            shown = f"{limit} euros" if field.form == "cents" else f"{limit}"
            limit *= 100 if field.form == "cents" else 1
        tail = self.pick(
            f"have {with_article(field.words)} {side} {shown}",
            f"have {with_article(field.words)} of {'more' if more else 'less'} than {shown}",
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
        )
        return Condition(tail, f"lower(trim({column})) = {literal(value.lower())}", field.words)

    def conditions(self, entity: Entity, count: int, *but: str) -> list[Condition]:
        """Conditions on different columns, less those on the columns called `but`."""
        found: dict[str, Condition] = {}
        for _ in range(8):
            condition = self.condition(entity)
            if condition and len(found) < count:
                found.setdefault(condition.about, condition)
        return [condition for about, condition in found.items() if about not in but]

    def maybe(self, entity: Entity, share: float, *but: str) -> list[Condition]:
        """In that `share` of the questions one of `conditions`."""
        return self.conditions(entity, 1, *but) if self.rng.random() < share else []


def tails(conditions: Sequence[Condition]) -> str:
    return " and ".join(c.tail for c in conditions)


def where(conditions: Sequence[Condition]) -> str:
    return f" WHERE {' AND '.join(c.sql for c in conditions)}" if conditions else ""


def literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'" if isinstance(value, str) else str(value)


def rounded(expression: str, digits: int | None) -> str:
    return expression if digits is None else f"round({expression}, {digits})"
