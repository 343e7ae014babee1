"""Questions about groups and totals: per category, thing or period, shares, ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from t2sql_tui.core.english import plural_noun, with_article
from t2sql_tui.core.identifiers import quote_identifier
from trainer.synthesis.dates import in_year, month_of, year_of
from trainer.synthesis.scenario import Entity
from trainer.synthesis.writer import Condition, Draft, Group, Writer, literal, rounded, where


def group_counts(w: Writer) -> Draft | None:
    """The largest group, or the number of rows in each."""
    entity = w.pick_entity()
    if entity is w.event:
        group = w.group(entity)
    elif field := w.field(entity, "category"):
        group = w.by(entity, field)
    else:
        return None
    filters = w.conditions(entity, 1, group.about)
    filters = filters if w.rng.random() < 0.5 else []
    start = (
        f"SELECT {group.select}, count(*) {w.tables(*group.entities)}{where(filters)} GROUP BY "
        f"{group.key}"
    )
    kind = w.rng.random()
    if kind < 0.3:
        return Draft(
            f"Which {group.words} has the most {entity.many}{w.that(filters)}? Show the "
            f"{group.heading} and the number.",
            f"{start} ORDER BY count(*) DESC LIMIT 1",
        )
    if kind < 0.55 and group.about:
        question = w.pick(
            f"How many {entity.many}{w.that(filters)} are there per {group.words}?",
            f"How many {entity.many}{w.that(filters)} are there for each {group.words}?",
            f"Count the {entity.many}{w.that(filters)} by {group.words}.",
        )
        return Draft(question, start)
    question = w.pick(
        f"How many {entity.many}{w.that(filters)} are there per {group.words}, the largest number "
        f"first? Show the {group.heading} and the number.",
        w.show(
            f"the {group.heading} and the number of {entity.many}{w.that(filters)} for each "
            f"{group.words}, the largest number first"
        ),
    )
    return Draft(question, f"{start} ORDER BY count(*) DESC")


def by_two(w: Writer) -> Draft | None:
    """Counts by year and category."""
    event, (start,) = w.event, w.event.of("date")
    field = w.field(event, "category")
    if not field:
        return None
    column = event.column(field.name)
    year = year_of(event.column(start.name), start.form)
    question = w.pick(
        f"How many {event.many} were {start.verb} per year and {field.words}? Show the year, the "
        f"{field.words} and the number, sorted by year and then {field.words}.",
        w.show(
            f"the number of {event.many} for each year they were {start.verb} in and each "
            f"{field.words}: year, {field.words}, number, ordered by year, then by "
            f"{field.words}"
        ),
    )
    return Draft(
        question,
        f"SELECT {year}, {column}, count(*) {w.tables(event)} GROUP BY {year}, {column} ORDER BY "
        f"{year}, {column}",
    )


def mean_per_group(w: Writer) -> Draft | None:
    """The average or total of money in each group."""
    event, (money,) = w.event, w.event.of("money")
    group = w.group(event)
    function, name = w.rng.choice((("avg", "average"), ("sum", "total"), ("avg", "mean")))
    value, wording = w.total(money, event.column(money.name), function, inside=True)
    filters = w.conditions(event, 1, group.about, money.words)
    filters = filters if w.rng.random() < 0.4 else []
    sql = (
        f"SELECT {group.select}, {value} {w.tables(*group.entities)}{where(filters)} GROUP BY "
        f"{group.key}"
    )
    what = (
        f"the {group.heading} and the {name} {money.words}{wording} of {group.whose} "
        f"{event.many}{w.that(filters)}"
    )
    if w.rng.random() < 0.6:
        what += w.pick(", highest first", ", the largest first", ", sorted from high to low")
        return Draft(w.show(what), f"{sql} ORDER BY {value} DESC")
    return Draft(w.pick(w.show(what), f"For each {group.words}, show {what}."), sql)


def share(w: Writer) -> Draft | None:
    """The percentage of rows that fulfil a condition."""
    entity = w.pick_entity()
    (condition,) = w.conditions(entity, 1) or (None,)
    if not condition:
        return None
    digits = w.rng.choice((0, 1, 1, 2))
    places = {0: "", 1: "one decimal", 2: "two decimals"}[digits]
    places = f", {w.pick('rounded to', 'with')} {places}" if places else ""
    percent = rounded(f"100.0 * sum({condition.sql}) / count(*)", digits or None)
    sql = f"SELECT {percent} {w.tables(entity)}"
    if some := w.maybe(entity, 0.35, condition.about):
        question = w.pick(
            f"Of the {entity.many} that {some[0].tail}, what percentage {condition.tail}{places}?",
            w.tell(
                f"the percentage of the {entity.many} that {some[0].tail} which "
                f"{condition.tail}{places}"
            ),
        )
        return Draft(question, sql + where(some), (sql,))
    question = w.pick(
        f"What percentage of the {entity.many} {condition.tail}{places}?",
        w.tell(f"the percentage of {entity.many} that {condition.tail}{places}"),
        f"What share of all {entity.many}, in percent, {condition.tail}{places}?",
    )
    return Draft(question, sql)


def share_per_group(w: Writer) -> Draft | None:
    """The percentage of each group's rows that fulfil a condition."""
    event = w.event
    group = w.group(event)
    condition = next(iter(w.conditions(event, 2, group.about)), None)
    if not condition:
        return None
    question = w.pick(
        f"For each {group.words}, what percentage of the {event.many} {condition.tail}, rounded to "
        "one decimal?",
        f"Show the {group.heading} and the percentage of {group.whose} {event.many} that "
        f"{condition.tail}, to one decimal.",
        f"Per {group.words}: the {group.heading} and the percentage of {event.many} that "
        f"{condition.tail}, with one decimal.",
    )
    return Draft(
        question,
        f"SELECT {group.select}, round(100.0 * sum({condition.sql}) / count(*), 1) "
        f"{w.tables(*group.entities)} GROUP BY {group.key}",
    )


def side_by_side(w: Writer) -> Draft | None:
    """Counts under several conditions in one row, or in one row of each group."""
    event = w.event
    field = w.field(event, "category", "flag", "end")
    if not field:
        return None
    column = event.column(field.name)
    if field.kind == "category":
        one, two = w.rng.sample(field.values, 2)
        first = Condition(f"have {field.words} '{one}'", f"{column} = {literal(one)}", field.words)
        second = Condition(f"have {field.words} '{two}'", f"{column} = {literal(two)}", field.words)
    elif field.kind == "flag":
        first, second = (w.flagged(field, column, yes) for yes in (True, False))
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
        f"For each {group.words}, show the {group.heading}, how many {event.many} {first.tail} and "
        f"how many {second.tail}.",
        f"Per {group.words}: the {group.heading}, the number of {event.many} that {first.tail}, "
        "and "
        f"the number that {second.tail}.",
    )
    return Draft(
        question,
        f"SELECT {group.select}, {counts} {w.tables(*group.entities)} GROUP BY {group.key}",
    )


def buckets(w: Writer) -> Draft | None:
    """Classes of money (CASE): counted, or shown for the rows that fulfil a condition."""
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
        w.show(
            f"the {event.label_words} and the class of {money.words} ({rules}) of the "
            f"{event.many} that {condition.tail}"
        ),
        f"SELECT {w.name_of(event)}, {case} {w.tables(event)} WHERE {condition.sql}",
    )


def untidy_groups(w: Writer) -> Draft | None:
    """Counts by a text, whatever its case and surrounding spaces."""
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
        w.show(
            f"the {field.words} in lower case and the number of {event.many}, {care}"
            f"{', the most frequent first' if order else ''}"
        ),
        f"How many {event.many} are there per {field.words} (in lower case), {care}"
        f"{', most common first' if order else ''}?",
    )
    return Draft(
        question,
        f"SELECT {clean}, count(*) {w.tables(event)} GROUP BY {clean}"
        f"{' ORDER BY count(*) DESC' if order else ''}",
    )


def top_in_group(w: Writer) -> Draft | None:
    """The first rows of each group: a rank, taken in a WITH query."""
    event, (money,) = w.event, w.event.of("money")
    group = w.group(event)
    most, count = w.rng.random() < 0.8, w.rng.choice((1, 2, 2, 3))
    label, column = event.label[0], event.column(money.name)
    if group.output.lower() in (label.name.lower(), money.name.lower()):
        return None
    end = f"{'highest' if most else 'lowest'} {money.words}"
    which = (
        f"the {event.one} with the {end}"
        if count == 1
        else (
            f"the {w.pick(str(count), {2: 'two', 3: 'three'}[count])} {event.many} with the {end}"
        )
    )
    question = w.pick(
        f"For each {group.words}, show the {group.heading}, and the {label.words} and "
        f"{money.words} of {which}{w.pick(' (ties included)', '')}.",
        f"Within each {group.words}, find {which}. Show the {group.heading}, the {event.one}'s "
        f"{label.words} and its {money.words}.",
        f"What {'is' if count == 1 else 'are'} {which} per {group.words}? List {group.heading}, "
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


def known_groups(w: Writer) -> Draft | None:
    """Counts, totals or shares of groups, without the rows whose group is NULL."""
    event, (money,) = w.event, w.event.of("money")
    fields = [f for f in event.of("category", "untidy") if f.gaps]
    if not fields:
        return None
    field = w.rng.choice(fields)
    column, words = event.column(field.name), field.words
    key, heading = column, words
    if field.kind == "untidy":
        key = f"lower(trim({column}))"
        heading = f"{words} (in lower case, without spaces around it)"
    value, what = "count(*)", f"number of {event.many}"
    kind = w.rng.random()
    if kind < 0.3:
        function, name = w.rng.choice((("sum", "total"), ("avg", "average")))
        value, wording = w.total(money, event.column(money.name), function, inside=True)
        what = f"{name} {money.words}{wording} of the {event.many}"
    elif kind < 0.55 and (condition := w.condition(event, "flag", "end", "date")):
        value = f"round(100.0 * sum({condition.sql}) / count(*), 1)"
        what = f"percentage of {event.many} that {condition.tail}, to one decimal"
    but = w.pick(
        f"leave out {event.many} without {with_article(words)}",
        f"skip those that have no {words}",
        f"ignore the {event.many} whose {words} is not known",
        f"not counting missing {plural_noun(words)}",
        f"only where there is {with_article(words)}",
    )
    question = w.pick(
        w.show(f"the {what} for each {heading}; {but}").rstrip("?.") + ".",
        f"For each {heading}, show the {what}; {but}.",
        f"{what[0].upper()}{what[1:]} per {heading}, {but}",
    )
    sql = f"SELECT {key}, {value} {w.tables(event)}"
    return Draft(
        question, f"{sql} WHERE {column} IS NOT NULL GROUP BY {key}", (f"{sql} GROUP BY {key}",)
    )


@dataclass(frozen=True, slots=True)
class _Members:
    """Whose leaders are asked for: `counted` rows of each member, over the joined `entities`."""

    counted: Entity
    entities: tuple[Entity, ...]
    words: str
    heading: str
    key: str
    select: str
    output: str


def leaders(w: Writer) -> Draft | None:
    """The members of each group with the most rows or the highest total: a rank of totals."""
    drawn = _group_and_members(w)
    if drawn is None or drawn[0].output.lower() == drawn[1].output.lower():
        return None
    group, members = drawn
    counted = members.counted
    value, words, most = "count(*)", f"number of {counted.many}", f"the most {counted.many}"
    if w.rng.random() < 0.5:
        (summed,) = counted.of("number" if counted is w.line else "money")
        value, words = f"sum({counted.column(summed.name)})", f"total {summed.words}"
        most = f"the highest {words}"
    filters = w.maybe(w.event, 0.4, group.words)
    question, count = _leaders_question(w, group, members, filters, words, most)
    keys = ", ".join(dict.fromkeys((group.key, members.key)))
    columns = ", ".join(map(quote_identifier, (group.output, members.output)))
    return Draft(
        question,
        f"WITH ranked AS (SELECT {group.select}, {members.select}, {value} AS amount, rank() OVER "
        f"(PARTITION BY {group.key} ORDER BY {value} DESC) AS place "
        f"{w.tables(*members.entities)}{where(filters)} GROUP BY {keys}) "
        f"SELECT {columns}, amount FROM ranked WHERE place <= {count}".replace("<= 1", "= 1"),
    )


def _group_and_members(w: Writer) -> tuple[Group, _Members] | None:
    """Groups of things by their owner or category, or of things or lines by an event's category."""
    event, thing, owner = w.event, w.thing, w.thing.parent
    field = w.field(event, "category")
    heading = f"{thing.label_words} of the {thing.one}"
    key, select, output = thing.column(thing.key), w.name_of(thing), thing.label[0].name
    members = _Members(event, (event, thing), thing.one, heading, key, select, output)
    kind = w.rng.random()
    if owner and owner.one != thing.one and kind < 0.4:
        key, select, output = owner.column(owner.key), w.name_of(owner), owner.label[0].name
        group = Group(owner.one, owner.label_words, key, select, output, ())
        return group, replace(members, entities=(event, thing, owner))
    if (own := w.field(thing, "category")) and kind < 0.6:
        words, column = f"{thing.one} {own.words}", thing.column(own.name)
        return Group(words, words, column, column, own.name, ()), members
    if not field:
        return None
    if kind > 0.8:  # which sort of line is most frequent there
        (sort,) = w.line.of("category")
        column = w.line.column(sort.name)
        members = _Members(
            w.line, (w.line, event), sort.words, sort.words, column, column, sort.name
        )
    return w.by(event, field), members


def _leaders_question(
    w: Writer,
    group: Group,
    members: _Members,
    filters: Sequence[Condition],
    words: str,
    most: str,
) -> tuple[str, int]:
    """The question for the leaders of each group, and how many of each are asked for."""
    only = f", counting only {w.event.many} that {filters[0].tail}" if filters else ""
    count = w.rng.choice((1, 1, 2, 3))
    who, has = members.words, "has"
    which = f"the {who} with {most}"
    if count > 1:
        number = w.pick(str(count), {2: "two", 3: "three"}[count])
        who, has = plural_noun(members.words), "have"
        which = f"the {number} {who} with {most}"
    question = w.pick(
        f"For each {group.words}, show {which}{only}: the {group.heading}, the {members.heading} "
        f"and the {words}.",
        f"Within each {group.words}, find {which}{only}. Show {group.heading}, {members.heading} "
        f"and {words}.",
        f"In each {group.words}, which {who} {has} {most}{only}? List the {group.heading}, the "
        f"{members.heading} and the {words}.",
        w.show(
            f"{which} in each {group.words}{only}, with {group.heading}, {members.heading} and "
            f"{words}"
        ),
    )
    if count > 1 and "In each" in question:
        question = question.replace(most, f"{most} (the top {count})", 1)
    return question, count


def per_period(w: Writer) -> Draft | None:
    """Counts or sums by month or year, in order."""
    event, (start,) = w.event, w.event.of("date")
    column = event.column(start.name)
    monthly = w.rng.random() < 0.65
    period = (month_of if monthly else year_of)(column, start.form)
    when = ""
    if monthly and w.rng.random() < 0.5:
        year = w.rng.randint(2021, 2024)
        sql, when = in_year(column, start.form, year), f" of {year}"
        filters = [Condition(f"were {start.verb} in {year}", sql, start.words)]
    else:
        filters = w.maybe(event, 0.3, start.words)
    shape = w.pick(" (as YYYY-MM)", ", written as YYYY-MM,", "") if monthly else ""
    question, value = _period_question(w, filters, "month" if monthly else "year", when, shape)
    return Draft(
        question.replace(",,", ","),
        f"SELECT {period}, {value} {w.tables(event)}{where(filters)} GROUP BY {period} ORDER BY "
        f"{period}",
    )


def _period_question(
    w: Writer, filters: Sequence[Condition], unit: str, when: str, shape: str
) -> tuple[str, str]:
    """The question for counts or sums by month or year, and the SQL of the value.

    `when` is " of 2023" if the events are all of one year, `shape` how months are to be written.
    """
    event, (start,) = w.event, w.event.of("date")
    money = w.field(event, "money")  # there is one, always; the draw is part of what a seed means
    assert money
    order = w.pick("in chronological order", "from the oldest to the newest", "in order of time")
    scope = f"{event.many}{w.that(filters)}"
    period = f"{unit}{shape} of the {start.words}"
    if (when or not filters) and w.rng.random() < 0.4:
        question = w.pick(
            f"How many {event.many} were {start.verb} in each {unit}{when}{shape}, {order}?",
            f"Number of {event.many} {start.verb} per {unit}{when}{shape}, {order}",
            f"Show how many {event.many} were {start.verb} each {unit}{when}{shape}, {order}.",
        )
        return question, "count(*)"
    if w.rng.random() < 0.5:
        question = w.pick(
            f"How many {scope} are there for each {period}, {order}?",
            f"Show the {period} and the number of {scope}, {order}.",
            f"Number of {scope} by {period}, {order}.",
            f"Count the {scope} per {unit}{shape} in which they were {start.verb}, {order}.",
        )
        return question, "count(*)"
    function, name = w.rng.choice((("sum", "total"), ("avg", "average")))
    value, wording = w.total(money, event.column(money.name), function, inside=True)
    question = w.pick(
        f"Show the {period} and the {name} {money.words}{wording} of the {scope}, {order}.",
        f"What is the {name} {money.words}{wording} of the {scope} for each {period}, {order}?",
        f"{name.capitalize()} {money.words}{wording} of the {scope} by {period}, {order}",
    )
    return question, value


def busiest_period(w: Writer) -> Draft | None:
    """The month or year with the most or fewest events."""
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


def running_total(w: Writer) -> Draft | None:
    """Totals by period, added up (OVER ... ORDER BY)."""
    query, unit, digits, words = _totals(w)
    both = w.rng.random() < 0.7
    question = w.pick(
        f"Show each {unit}, {f'the {words}, ' if both else ''}and the running total of "
        f"{'that' if both else f'the {words}'}, in order of time.",
        f"For every {unit} in order: {f'the {words}, and ' if both else ''}"
        f"{'its' if both else 'the'} cumulative total{'' if both else f' of the {words}'}.",
        f"How does the {words} add up {unit} by {unit}? List the {unit}"
        f"{', the value' if both else ''} and the running total, oldest first.",
    )
    amount = f"{rounded('amount', digits)}, " if both else ""
    running = rounded("sum(amount) OVER (ORDER BY period)", digits)
    return Draft(question, f"{query} SELECT period, {amount}{running} FROM totals ORDER BY period")


def change(w: Writer) -> Draft | None:
    """Totals by period and their change from the period before (lag)."""
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
    values = f"{amount}, {rounded('amount - lag(amount) OVER (ORDER BY period)', digits)}"
    return Draft(question, f"{query} SELECT period, {values} FROM totals ORDER BY period")


def _totals(w: Writer) -> tuple[str, str, int | None, str]:
    """A WITH query of totals by month or year, its unit, the digits that are asked for, and the
    words for the totals."""
    event, (start,), (money,) = w.event, w.event.of("date"), w.event.of("money")
    column = event.column(start.name)
    unit = w.pick("month", "month", "year")
    period = (month_of if unit == "month" else year_of)(column, start.form)
    when = ""
    in_one_year = []
    if unit == "month":
        year = w.rng.randint(2021, 2024)
        when = f" in {year}"
        in_one_year = [Condition("", in_year(column, start.form, year), start.words)]
    filters = w.maybe(event, 0.35, start.words, money.words)
    value, digits = "count(*)", None
    words = f"number of {event.many} {start.verb}{when}{w.that(filters)}"
    if w.rng.random() < 0.5:
        value, digits, wording = w.amount(money, f"sum({event.column(money.name)})")
        wording = wording and f" ({wording})"
        words = (
            f"total {money.words}{wording} of the {event.many} {start.verb}{when}{w.that(filters)}"
        )
    query = (
        f"WITH totals AS (SELECT {period} AS period, {value} AS amount {w.tables(event)}"
        f"{where([*in_one_year, *filters])} "
        f"GROUP BY {period})"
    )
    return query, unit, digits, words
