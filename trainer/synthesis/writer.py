"""The parts of questions and the SQL of each: what is asked for, of which rows, how grouped."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from t2sql_tui.core.english import plural_noun, with_article
from t2sql_tui.core.identifiers import quote_identifier
from trainer.synthesis.dates import day_of, in_year, month_of, year_of
from trainer.synthesis.scenario import Entity, Field, Scenario
from trainer.synthesis.vocabulary import ADJECTIVES, STATUS, UNDONE


@dataclass(frozen=True, slots=True)
class Draft:
    """A question and its SQL, not yet proved.

    `rivals` are the SQL of other readings of the question; they must give other rows, or the
    question would not teach the difference.
    """

    question: str
    sql: str
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on rows: `tail` completes "the bookings that ...", `about` is the column."""

    tail: str
    sql: str
    about: str


@dataclass(frozen=True, slots=True)
class Group:
    """What rows are grouped by: "for each `words`", by the SQL `key`.

    The question asks for the `heading` of each group, which is the SQL `select`, a column named
    `output`. `about` is the column of the event that groups, "" for a group by thing.
    """

    words: str
    heading: str
    key: str
    select: str
    output: str
    entities: tuple[Entity, ...]
    about: str = ""

    @property
    def whose(self) -> str:
        """The pronoun for "over its bookings"."""
        return "its" if self.about else "their"


_PERIODS = ("month", "months", "before", "after", "between", "since")


class Writer:
    """Draws the parts of questions about one scenario, with their SQL."""

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self.rng = rng
        self.thing, self.event, self.line = scenario.thing, scenario.event, scenario.line

    # --- parts of SQL -------------------------------------------------------------------

    def tables(self, *entities: Entity) -> str:
        """FROM with the tables joined on their keys, children first."""
        text = f"FROM {quote_identifier(entities[0].table)}"
        for entity in entities[1:]:
            child = next(e for e in entities if e.parent and e.parent.table == entity.table)
            text += (
                f" JOIN {quote_identifier(entity.table)} ON {child.column(child.link)} = "
                f"{entity.column(entity.key)}"
            )
        return text

    def name_of(self, entity: Entity) -> str:
        """The column that names the rows of a table."""
        return entity.column(entity.label[0].name)

    def pick_entity(self) -> Entity:
        """The thing or, twice as often, the event."""
        return self.rng.choice((self.thing, self.event, self.event))

    def group(self, event: Entity) -> Group:
        """What events are grouped by: a category, their thing, or a category of the thing."""
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
        """The group by a column of `entity`."""
        column = entity.column(field.name)
        return Group(field.words, field.words, column, column, field.name, (entity,), field.words)

    def names(self, entity: Entity) -> str:
        """ "the names", or what the names of that table are called."""
        return f"the {plural_noun(entity.label_words)}"

    def extreme(self, noun: str, field: Field, most: bool) -> str:
        """ "repairs with the highest cost" or, shorter, "most expensive repairs"."""
        if field.words in ADJECTIVES and field.kind == "money" and self.rng.random() < 0.35:
            return f"{ADJECTIVES[field.words][0 if most else 1]} {noun}"
        return f"{noun} with the {'highest' if most else 'lowest'} {field.words}"

    def pick(self, *texts: str) -> str:
        """One of the texts."""
        return self.rng.choice(texts)

    def field(self, entity: Entity, *kinds: str) -> Field | None:
        """One of the columns of these kinds; None if there is none."""
        fields = entity.of(*kinds)
        return self.rng.choice(fields) if fields else None

    # --- parts of questions -------------------------------------------------------------

    def show(self, what: str) -> str:
        """A question for a list."""
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
        """A question for one row."""
        return self.show(what).replace("What are", "What is")

    def tell(self, what: str) -> str:
        """A question for a single value."""
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
        """A question for a number of rows."""
        return self.pick(
            f"How many {many} {tail}?",
            f"Count the {many} that {tail}.",
            f"What is the number of {many} that {tail}?",
            f"Number of {many} that {tail}",
            f"How many of the {many} {tail}?",
            f"I want to know how many {many} {tail}.",
        )

    def count(
        self, entity: Entity, filters: Sequence[Condition], rivals: tuple[str, ...] = ()
    ) -> Draft:
        """The question how many rows fulfil all conditions."""
        question = self.how_many(entity.many, tails(filters))
        return Draft(question, f"SELECT count(*) {self.tables(entity)}{where(filters)}", rivals)

    def total(
        self, field: Field, column: str, function: str, *, inside: bool = False
    ) -> tuple[str, str]:
        """An aggregate, rounded or not, and the words that ask for this: ", to one decimal".

        In brackets if they stand `inside` the question.
        """
        expression, digits, wording = self.amount(field, f"{function}({column})")
        brackets = inside or (wording and self.rng.random() < 0.25)
        return rounded(expression, digits), wording and (
            f" ({wording})" if brackets else f", {wording}"
        )

    def amount(self, field: Field, expression: str) -> tuple[str, int | None, str]:
        """An expression over a column of money or numbers, its digits, and the words for both.

        The expression is in the unit that the words ask for; digits None means not rounded.
        """
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

    # --- conditions ---------------------------------------------------------------------

    def that(self, conditions: Sequence[Condition]) -> str:
        """The relative clause of conditions: " that were booked in 2023", " booked in 2023",
        " with no e-mail"."""
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
        """A condition on a column of one of these kinds (of any kind if none is named)."""
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
        """A condition on a flag."""
        tail = f"are {'' if yes else 'not '}{field.words}"
        return Condition(tail, f"{column} = {int(yes)}", field.words)

    def is_value(self, entity: Entity, field: Field) -> Condition:
        """A condition on a category: equal to a value, to one of two, or to any other."""
        column, value = entity.column(field.name), self.rng.choice(field.values)
        kind = self.rng.random()
        verbs = {f.verb for f in entity.of("date", "end")}  # "are planned" could mean a date
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
            return self._unended(field, column)
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

    def _unended(self, field: Field, column: str) -> Condition:
        if self.rng.random() < 0.65:
            un = f"still un{field.verb}" if field.verb in UNDONE else f"yet to be {field.verb}"
            tail = self.pick(
                f"have not been {field.verb} yet",
                f"are not {field.verb} yet",
                f"have no {field.words}",
                f"were never {field.verb}",
                f"are {un}",
            )
            return Condition(tail, f"{column} IS NULL", field.words)
        tail = self.pick(f"have been {field.verb}", f"have a {field.words}")
        return Condition(tail, f"{column} IS NOT NULL", field.words)

    def dated(self, field: Field, column: str, *kinds: str) -> Condition:
        """A condition on a date: a year, a month, a range or a limit.

        The SQL reads the form in which the column stores its dates.
        """
        year, month = self.rng.randint(2021, 2024), self.rng.randint(1, 12)
        day = date(year, month, self.rng.randint(1, 28))
        spoken = self.pick(f"{day}", f"{day.day} {day:%B %Y}", f"{day:%B} {day.day}, {year}")
        kind = self.rng.choice(kinds or ("year", "year", *_PERIODS))
        if kind in ("before", "after"):
            sql = self._limit(field, column, day, kind)
            tail = f"were {field.verb} {kind} {spoken}"
        else:
            draw = {
                "year": self._in_year,
                "month": self._in_month,
                "months": self._between_months,
                "between": self._between_days,
                "since": self._since_year,
            }[kind]
            tail, sql = draw(field, column, day)
        return Condition(tail, sql, field.words)

    def _limit(self, field: Field, column: str, day: date, kind: str) -> str:
        if kind == "before":
            return f"{column if _is_iso(field) else day_of(column, field.form)} < '{day}'"
        return f"{day_of(column, field.form)} > '{day}'"

    def _in_year(self, field: Field, column: str, day: date) -> tuple[str, str]:
        year, verb = day.year, field.verb
        tail = self.pick(
            f"were {verb} in {year}",
            f"have been {verb} during {year}",
            f"have {with_article(field.words)} in {year}",
        )
        return tail, in_year(column, field.form, year)

    def _in_month(self, field: Field, column: str, day: date) -> tuple[str, str]:
        month = f"{day:%Y-%m}"
        if _is_iso(field):
            sql = f"{column} LIKE '{month}%'"
        else:
            sql = f"{month_of(column, field.form)} = '{month}'"
        spoken = self.pick(f"{day:%B %Y}", f"{day:%B} of {day.year}", month)
        return f"were {field.verb} in {spoken}", sql

    def _between_months(self, field: Field, column: str, day: date) -> tuple[str, str]:
        year, verb = day.year, field.verb
        first = self.rng.randint(1, 10)
        last = self.rng.randint(first + 1, min(12, first + 6))
        names = f"{date(year, first, 1):%B}", f"{date(year, last, 1):%B}"
        tail = self.pick(
            f"were {verb} between {names[0]} and {names[1]} {year}",
            f"were {verb} from {names[0]} to {names[1]} {year}",
        )
        month = month_of(column, field.form)
        return tail, f"{month} BETWEEN '{year}-{first:02}' AND '{year}-{last:02}'"

    def _between_days(self, field: Field, column: str, day: date) -> tuple[str, str]:
        last = day + timedelta(self.rng.randint(30, 200))
        sql = f"{day_of(column, field.form)} BETWEEN '{day}' AND '{last}'"
        return f"were {field.verb} between {day} and {last}", sql

    def _since_year(self, field: Field, column: str, day: date) -> tuple[str, str]:
        year = day.year
        if _is_iso(field):
            sql = f"{column} >= '{year}-01-01'"
        else:
            sql = f"{year_of(column, field.form)} >= '{year}'"
        tail = self.pick(
            f"were {field.verb} in {year} or later", f"were {field.verb} after {year - 1}"
        )
        return tail, sql

    def _compared(self, entity: Entity, field: Field, column: str) -> Condition:
        more = self.rng.random() < 0.6
        side, sign = ("above", ">") if more else ("below", "<")
        if field.kind == "number" and self.rng.random() < 0.4:
            average = f"(SELECT avg({column}) FROM {quote_identifier(entity.table)})"
            tail = f"have {with_article(field.words)} {side} the average of all {entity.many}"
            return Condition(tail, f"{column} {sign} {average}", field.words)
        if field.kind == "number":
            limit = words = self.rng.choice(field.values)
        else:
            amount = self.rng.choice((40, 50, 75, 100, 120, 150, 200, 250))
            cents = field.form == "cents"
            words = f"{amount} euros" if cents else f"{amount}"
            limit = str(100 * amount if cents else amount)
        tail = self.pick(
            f"have {with_article(field.words)} {side} {words}",
            f"have {with_article(field.words)} of {'more' if more else 'less'} than {words}",
        )
        return Condition(tail, f"{column} {sign} {limit}", field.words)

    def untidy(self, field: Field, column: str) -> Condition:
        """A condition on untidy text, whatever its case and surrounding spaces."""
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

    def conditions(self, entity: Entity, count: int, *excluded: str) -> list[Condition]:
        """At most `count` conditions on different columns, without those called `excluded`."""
        by_column: dict[str, Condition] = {}
        for _ in range(8):
            condition = self.condition(entity)
            if condition and len(by_column) < count:
                by_column.setdefault(condition.about, condition)
        return [condition for about, condition in by_column.items() if about not in excluded]

    def maybe(self, entity: Entity, share: float, *excluded: str) -> list[Condition]:
        """One of `conditions` in that `share` of the questions, else none."""
        return self.conditions(entity, 1, *excluded) if self.rng.random() < share else []


def _is_iso(field: Field) -> bool:
    """Whether text of that form sorts and begins as YYYY-MM-DD does."""
    return field.form in ("iso", "datetime")


def tails(conditions: Sequence[Condition]) -> str:
    """The tails of conditions, joined by "and"."""
    return " and ".join(c.tail for c in conditions)


def where(conditions: Sequence[Condition]) -> str:
    """The WHERE clause of conditions; "" for none."""
    return f" WHERE {' AND '.join(c.sql for c in conditions)}" if conditions else ""


def literal(value: object) -> str:
    """`value` as a literal of SQL."""
    return "'" + str(value).replace("'", "''") + "'" if isinstance(value, str) else str(value)


def rounded(expression: str, digits: int | None) -> str:
    """The expression rounded to `digits`; as it is for None."""
    return expression if digits is None else f"round({expression}, {digits})"
