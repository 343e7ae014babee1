"""Questions about the rows of one table: which, how many, the first of them."""

from __future__ import annotations

from dataclasses import replace

from t2sql_tui.core.english import with_article
from trainer.synthesis.dates import day_of, in_order
from trainer.synthesis.writer import Condition, Draft, Writer, literal, tails, where


def missing_count(w: Writer) -> Draft | None:
    """How many rows lack a contact, a note or an end, or have one."""
    entity = w.pick_entity()
    missing = w.condition(entity, "contact", "note", "end")
    if not missing or "NULL" not in missing.sql:
        return None
    return w.count(entity, [missing, *w.maybe(entity, 0.3, missing.about)])


def dated_count(w: Writer) -> Draft | None:
    """How many rows have a date in a range."""
    entity = w.pick_entity()
    dated = w.condition(entity, "date")
    if not dated:
        return None
    return w.count(entity, [dated, *w.maybe(entity, 0.35, dated.about)])


def count_of_two(w: Writer) -> Draft | None:
    """How many rows fulfil two conditions."""
    entity = w.pick_entity()
    filters = w.conditions(entity, 2)
    return w.count(entity, filters) if len(filters) == 2 else None


def either(w: Writer) -> Draft | None:
    """Rows that fulfil one condition or another, often a missing value."""
    entity = w.pick_entity()
    ends = entity.of("end")
    if ends and w.rng.random() < 0.5:
        column = entity.column(ends[0].name)
        filters = [
            Condition(f"have not been {ends[0].verb}", f"{column} IS NULL", ends[0].words),
            w.dated(ends[0], column, "year", "before", "after"),
        ]
    else:
        filters = w.conditions(entity, 2)
    if len(filters) != 2:
        return None
    tail = " or ".join(c.tail for c in filters)
    condition = " OR ".join(c.sql for c in filters)
    if w.rng.random() < 0.6:
        question = w.how_many(entity.many, tail)
        return Draft(question, f"SELECT count(*) {w.tables(entity)} WHERE {condition}")
    return Draft(
        w.show(f"{w.names(entity)} of the {entity.many} that {tail}"),
        f"SELECT {w.name_of(entity)} {w.tables(entity)} WHERE {condition}",
    )


def untidy_count(w: Writer) -> Draft | None:
    """Rows with a text, whatever its case and surrounding spaces."""
    field = w.field(w.event, "untidy")
    if not field:
        return None
    event, column = w.event, w.event.column(field.name)
    condition = w.untidy(field, column)
    value = condition.sql.split(" = ")[1]
    plain = condition.sql.replace("lower(trim(", "").replace("))", "")
    more = [c for c in w.conditions(event, 1) if w.rng.random() < 0.3]
    filters = [*more, condition]
    rivals = [
        f"SELECT count(*) {w.tables(event)} WHERE {c}"
        for c in (plain, f"lower({column}) = {value}", f"trim({column}) = {value}")
    ]
    if w.rng.random() < 0.6:
        return w.count(event, filters, () if more else tuple(rivals))
    (money,) = event.of("money")
    total, wording = w.total(money, event.column(money.name), "sum", inside=True)
    return Draft(
        w.tell(f"the total {money.words}{wording} of the {event.many} that {tails(filters)}"),
        f"SELECT {total} {w.tables(event)}{where(filters)}",
    )


def listing(w: Writer) -> Draft | None:
    """Some columns of the rows that fulfil a condition or two, often in an order."""
    entity = w.pick_entity()
    filters = w.conditions(entity, w.rng.choice((1, 1, 2)))
    other = w.field(entity, "number", "money", "category", "contact", "date")
    if not filters or not other:
        return None
    label, column = entity.label[0], entity.column(other.name)
    what = f"the {label.words} and {other.words} of the {entity.many}{w.that(filters)}"
    sql = f"SELECT {w.name_of(entity)}, {column} {w.tables(entity)}{where(filters)}"
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
        sql += f" ORDER BY {in_order(column, other.form)} DESC"
    else:
        what += w.pick(f", sorted by {label.words}", f", in alphabetical order of {label.words}")
        sql += f" ORDER BY {w.name_of(entity)}"
    return Draft(w.show(what), sql)


def fill_in(w: Writer) -> Draft | None:
    """COALESCE: a word in place of a missing value."""
    entity = w.pick_entity()
    field = w.field(entity, "contact", "note")
    filters = w.conditions(entity, 1)
    if not field or not filters or filters[0].about == field.words:
        return None
    filters = filters if entity is w.event or w.rng.random() < 0.4 else []
    word = w.pick("none", "unknown", "n/a", "missing", "-")
    name = entity.label_words
    columns = f"{name} and {field.words}"
    if filters:
        question = w.pick(
            w.show(
                f"the {columns} of the {entity.many}{w.that(filters)}, with '{word}' where there "
                f"is no {field.words}"
            ),
            f"For the {entity.many}{w.that(filters)}, list {columns}; write '{word}' if the "
            f"{field.words} is missing.",
        )
    else:
        question = w.pick(
            w.show(
                f"the {columns} of all {entity.many}, with '{word}' where there is no {field.words}"
            ),
            f"List {columns} of every one of the {entity.many}; put '{word}' for a missing "
            f"{field.words}.",
        )
    select = f"SELECT {w.name_of(entity)}, "
    column = entity.column(field.name)
    rest = f" {w.tables(entity)}{where(filters)}"
    return Draft(
        question, f"{select}coalesce({column}, {literal(word)}){rest}", (f"{select}{column}{rest}",)
    )


def text(w: Writer) -> Draft | None:
    """Length, first letters, capitals, parts of a text, patterns."""
    thing = w.thing
    some = w.rng.choice(thing.label[0].values)
    word = w.rng.choice(some.split())
    length = w.rng.randint(5, 16)
    options = _label_questions(w, some[0].upper(), word, length)
    mail = next((f for f in thing.of("contact") if f.words == "e-mail"), None)
    if mail:
        options += 2 * _mail_questions(w, thing.column(mail.name))
    return Draft(*w.rng.choice(options))


def _label_questions(w: Writer, letter: str, word: str, length: int) -> list[tuple[str, str]]:
    """Questions about the names of the things, with their SQL."""
    thing, column, name = w.thing, w.name_of(w.thing), w.thing.label_words
    many, tables = thing.many, w.tables(w.thing)
    first = f"substr({column}, 1, 1)"
    return [
        (
            w.show(f"the {name} of each of the {many} and its length in characters, longest first"),
            f"SELECT {column}, length({column}) {tables} ORDER BY length({column}) DESC",
        ),
        (
            f"Which {many} have a {name} of more than {length} characters? Show the {name}.",
            f"SELECT {column} {tables} WHERE length({column}) > {length}",
        ),
        (
            w.show(f"{w.names(thing)} of all {many} in capital letters, in alphabetical order"),
            f"SELECT upper({column}) {tables} ORDER BY {column}",
        ),
        (
            w.show(f"{w.names(thing)} of the {many} whose {name} starts with '{letter}'"),
            f"SELECT {column} {tables} WHERE {column} LIKE {literal(letter + '%')}",
        ),
        (
            f"Which {many} have '{word}' in their {name}?",
            f"SELECT {column} {tables} WHERE {column} LIKE {literal(f'%{word}%')}",
        ),
        (
            f"How many {many} are there for each first letter of the {name}? Show the letter and "
            "the number, in alphabetical order.",
            f"SELECT {first}, count(*) {tables} GROUP BY {first} ORDER BY {first}",
        ),
        (
            f"What is the longest {name} of {with_article(thing.one)}, and how many characters "
            "does it have?",
            f"SELECT {column}, length({column}) {tables} ORDER BY length({column}) DESC LIMIT 1",
        ),
    ]


def _mail_questions(w: Writer, address: str) -> list[tuple[str, str]]:
    many, tables = w.thing.many, w.tables(w.thing)
    domain = f"substr({address}, instr({address}, '@') + 1)"
    return [
        (
            f"How many {many} use each e-mail domain (the part after the @)? Leave out those "
            "without an e-mail.",
            f"SELECT {domain}, count(*) {tables} WHERE {address} IS NOT NULL GROUP BY {domain}",
        ),
        (
            f"How many {many} have an e-mail address at example.org?",
            f"SELECT count(*) {tables} WHERE {address} LIKE '%@example.org'",
        ),
    ]


def above_average(w: Writer) -> Draft | None:
    """Rows above or below the average of a column."""
    entity = w.pick_entity()
    field = w.field(entity, "number", "money")
    if not field:
        return None
    column, above = entity.column(field.name), w.rng.random() < 0.7
    side = "above" if above else "below"
    tail = f"{w.pick('have', 'have got')} {with_article(field.words)} {side} the average"
    condition = f"WHERE {column} {'>' if above else '<'} (SELECT avg({column}) {w.tables(entity)})"
    if w.rng.random() < 0.5:
        return Draft(
            w.how_many(entity.many, tail), f"SELECT count(*) {w.tables(entity)} {condition}"
        )
    return Draft(
        w.show(
            f"the {entity.label_words} and {field.words} of the {entity.many} that {tail}, "
            f"{'largest' if above else 'smallest'} first"
        ),
        f"SELECT {w.name_of(entity)}, {column} {w.tables(entity)} {condition} ORDER BY {column} "
        f"{'DESC' if above else 'ASC'}",
    )


def top(w: Writer) -> Draft | None:
    """The rows with the highest or lowest values of a column."""
    entity = w.pick_entity()
    field = w.field(entity, "money", "number")
    if not field:
        return None
    column, label = entity.column(field.name), entity.label[0]
    count = w.rng.choice((1, 3, 3, 5, 10))
    most = w.rng.random() < 0.75
    filters = w.maybe(entity, 0.35, field.words)
    both = w.rng.random() < 0.6
    number = {3: w.pick("3", "three"), 5: w.pick("5", "five"), 10: "10"}.get(count, "")
    one, many = (w.extreme(noun, field, most) for noun in (entity.one, entity.many))
    if count == 1:
        columns = f"the {label.words} and {field.words}" if both else f"the {label.words}"
        what = f"{columns} of the {one}"
        what += f" among the {entity.many}{w.that(filters)}" if filters else ""
        question = w.show_one(what)
    else:
        columns = f"the {label.words} and {field.words}" if both else w.names(entity)
        only = f", only among those{w.that(filters)}" if filters else ""
        question = w.show(f"{columns} of the {number} {many}{only}")
    return Draft(
        question,
        f"SELECT {w.name_of(entity)}{f', {column}' if both else ''} {w.tables(entity)}"
        f"{where(filters)} ORDER BY {column} {'DESC' if most else 'ASC'} LIMIT {count}",
    )


def newest(w: Writer) -> Draft | None:
    """The rows with the latest dates."""
    entity = w.pick_entity()
    field = w.field(entity, "date")
    if not field:
        return None
    column, name, count = entity.column(field.name), entity.label_words, w.rng.choice((1, 3, 5))
    filters = w.conditions(entity, 1, field.words)
    filters = filters if w.rng.random() < 0.5 else []
    which = f"the {entity.one}" if count == 1 else f"the {count} {entity.many}"
    names = f"the {name}" if count == 1 else w.names(entity)
    show = w.show_one if count == 1 else w.show
    question = show(
        f"{names} of {which} most recently {field.verb.removeprefix('last ')}"
        f"{f', of those{w.that(filters)}' if filters else ''}"
    )
    return Draft(
        question,
        f"SELECT {w.name_of(entity)} {w.tables(entity)}{where(filters)} ORDER BY "
        f"{in_order(column, field.form)} DESC LIMIT {count}",
    )


def whole_row(w: Writer) -> Draft | None:
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


def days(w: Writer) -> Draft | None:
    """The time from start to end, in days."""
    event, (start,), (end,) = w.event, w.event.of("date"), w.event.of("end")
    first, last = event.column(start.name), event.column(end.name)
    if start.form == "epoch":
        length = f"({last} - {first}) / 86400.0"
    else:
        length = f"julianday({in_order(last, end.form)}) - julianday({in_order(first, start.form)})"
    between = w.pick(
        f"from being {start.verb} to being {end.verb}",
        f"between the {start.words} and the {end.words}",
    )
    return Draft(*w.rng.choice(_days_questions(w, length, between)))


def _days_questions(w: Writer, length: str, between: str) -> list[tuple[str, str]]:
    """Questions about a length in days, an expression, with their SQL."""
    event, tables = w.event, w.tables(w.event)
    limit = w.rng.choice((14, 20, 30, 40, 50))
    group = w.group(event)
    return [
        (
            w.tell(
                f"the average number of days {between} of the {event.many}, rounded to one decimal"
            ),
            f"SELECT round(avg({length}), 1) {tables}",
        ),
        (
            w.how_many(event.many, f"took more than {limit} days {between}"),
            f"SELECT count(*) {tables} WHERE {length} > {limit}",
        ),
        (
            w.show(
                f"{w.names(event)} of the {event.many} that took longer than {limit} days {between}"
            ),
            f"SELECT {w.name_of(event)} {tables} WHERE {length} > {limit}",
        ),
        (
            f"For each {group.words}, show the {group.heading} and the average number of days "
            f"{between}, to one decimal, over {group.whose} {event.many}.",
            f"SELECT {group.select}, round(avg({length}), 1) {w.tables(*group.entities)} GROUP BY "
            f"{group.key}",
        ),
        (
            f"Which {event.one} took the longest {between}? Show its {event.label_words} and the "
            "days, rounded to one decimal.",
            f"SELECT {w.name_of(event)}, round({length}, 1) {tables} ORDER BY {length} DESC "
            "LIMIT 1",
        ),
    ]


def view(w: Writer) -> Draft | None:
    """Rows of the view."""
    event = w.event
    if not event.view:
        return None
    name, word = event.view
    rows = replace(event, table=name, many=f"{word} {event.many}")
    (money,), (start,) = event.of("money"), event.of("date")
    column = rows.column(money.name)
    tables = w.tables(rows)
    total, wording = w.total(money, column, "sum")
    dated = w.dated(start, rows.column(start.name))
    limit = w.rng.choice((3, 5))
    question, sql = w.rng.choice(
        (
            (w.how_many(rows.many, dated.tail), f"SELECT count(*) {tables} WHERE {dated.sql}"),
            (
                w.tell(f"the total {money.words} of the {rows.many}{wording}"),
                f"SELECT {total} {tables}",
            ),
            (
                w.show(
                    f"{w.names(event)} of the {limit} {rows.many} with the highest {money.words}"
                ),
                f"SELECT {w.name_of(rows)} {tables} ORDER BY {column} DESC LIMIT {limit}",
            ),
        )
    )
    return Draft(question, sql)
