"""Questions over several tables: things with or without certain events, and their totals."""

from __future__ import annotations

from collections.abc import Sequence

from t2sql_tui.core.english import plural_noun, with_article
from t2sql_tui.core.identifiers import quote_identifier
from trainer.synthesis.dates import day_of, year_of
from trainer.synthesis.scenario import Entity
from trainer.synthesis.writer import Condition, Draft, Group, Writer, literal, where


def without(w: Writer) -> Draft | None:
    """Things without events, or without events that fulfil a condition."""
    event, thing = w.event, w.thing
    filters = w.maybe(event, 0.6)
    none = _nothing(w, filters)
    tail = w.pick(
        f"have no {event.many}{w.that(filters)}", f"do not have any {event.many}{w.that(filters)}"
    )
    if not filters:
        tail = w.pick(
            tail, f"have never had {with_article(event.one)}", f"are without any {event.many}"
        )
    if w.rng.random() < 0.5:
        return Draft(
            w.how_many(thing.many, tail), f"SELECT count(*) {w.tables(thing)} WHERE {none}"
        )
    question = w.pick(
        w.show(f"{w.names(thing)} of the {thing.many} that {tail}"),
        f"Which {thing.many} {tail}?",
        f"Which {thing.many} {tail}? Give their {plural_noun(thing.label_words)}.",
    )
    return Draft(question, f"SELECT {w.name_of(thing)} {w.tables(thing)} WHERE {none}")


def _nothing(w: Writer, filters: Sequence[Condition]) -> str:
    """The SQL condition that a thing has no such event.

    NOT IN is used only if no link is NULL, because it is never true otherwise.
    """
    event, thing = w.event, w.thing
    if not event.orphans and w.rng.random() < 0.5:
        return (
            f"{thing.column(thing.key)} NOT IN (SELECT {event.column(event.link)} "
            f"{w.tables(event)}{where(filters)})"
        )
    return (
        f"NOT EXISTS (SELECT 1 {w.tables(event)} WHERE {event.column(event.link)} = "
        f"{thing.column(thing.key)}{''.join(f' AND {c.sql}' for c in filters)})"
    )


def both(w: Writer) -> Draft | None:
    """Things that have events of one sort and of another: INTERSECT."""
    return _set_operation(w, "INTERSECT")


def but_not(w: Writer) -> Draft | None:
    """Things that have events of one sort and none of another: EXCEPT."""
    return _set_operation(w, "EXCEPT")


def _set_operation(w: Writer, operator: str) -> Draft | None:
    event, thing = w.event, w.thing
    field = w.field(event, "category", "flag", "date")
    if not field:
        return None
    column = event.column(field.name)
    if field.kind == "category":
        first, second = w.is_value(event, field), w.is_value(event, field)
    elif field.kind == "date":
        first, second = (w.dated(field, column, "year", "months") for _ in "ab")
    else:
        first, second = (w.flagged(field, column, yes) for yes in (True, False))
    if first.sql == second.sql:
        return None
    name = thing.label_words
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


def zero_included(w: Writer) -> Draft | None:
    """The number of events of each thing, with or without the things that have none."""
    event, thing = w.event, w.thing
    label = thing.label_words
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
            outer,
            (inner,),
        )
    return Draft(
        w.show(f"{what}, {w.pick('leaving out those without any', 'only those that have some')}"),
        inner,
        (outer,),
    )


def at_least(w: Writer) -> Draft | None:
    """Things with at least, exactly or fewer than so many events or lines: HAVING."""
    thing, event, line = w.thing, w.event, w.line
    deep = w.rng.random() < 0.35
    counted = line if deep else event
    limit = w.rng.randint(2, 9) * (2 if deep else 1)
    filters = [] if deep or w.rng.random() < 0.5 else w.conditions(event, 1)
    words, sign = w.rng.choice(
        (
            (f"more than {limit}", ">"),
            (f"at least {limit}", ">="),
            (f"{limit} or more", ">="),
            (f"fewer than {limit}", "<"),
            (f"exactly {limit}", "="),
        )
    )
    both = w.rng.random() < 0.5
    name = thing.label_words
    some = " (but at least one)" if sign == "<" else ""
    through = f" over all their {event.many}" if deep else ""
    tail = f"have {words} {counted.many}{w.that(filters)}{through}{some}"
    question = w.pick(
        f"Which {thing.many} {tail}?{f' Show the {name} and the number.' if both else ''}",
        w.show(
            f"{f'the {name} and number of {counted.many}' if both else w.names(thing)} of the "
            f"{thing.many} that {tail}"
        ),
    )
    entities = (line, event, thing) if deep else (event, thing)
    return Draft(
        question,
        f"SELECT {w.name_of(thing)}{', count(*)' if both else ''} "
        f"{w.tables(*entities)}{where(filters)} GROUP BY {thing.column(thing.key)} HAVING count(*) "
        f"{sign} {limit}",
    )


def distinct_things(w: Writer) -> Draft | None:
    """The things of certain events, each once, or their number: DISTINCT."""
    event, thing = w.event, w.thing
    filters = w.conditions(event, 1)
    if not filters:
        return None
    if w.rng.random() < 0.5:
        return Draft(
            w.pick(
                f"How many different {thing.many} have {event.many}{w.that(filters)}?",
                f"What is the number of distinct {thing.many} among the "
                f"{event.many}{w.that(filters)}?",
            ),
            f"SELECT count(DISTINCT {event.column(event.link)}) {w.tables(event)}{where(filters)}",
            (f"SELECT count({event.column(event.link)}) {w.tables(event)}{where(filters)}",),
        )
    return Draft(
        w.pick(
            w.show(
                f"{w.names(thing)} of the {thing.many} that have {event.many}"
                f"{w.that(filters)}, each only once"
            ),
            f"Which {thing.many} have {event.many}{w.that(filters)}? Show each "
            f"{thing.label_words} once.",
        ),
        f"SELECT DISTINCT {w.name_of(thing)} {w.tables(event, thing)}{where(filters)}",
    )


def last_time(w: Writer) -> Draft | None:
    """The first or last date of each thing's events."""
    event, thing, (start,) = w.event, w.thing, w.event.of("date")
    function, name = w.rng.choice((("max", "last"), ("max", "latest"), ("min", "first")))
    column = event.column(start.name)
    if start.form == "epoch":
        value = day_of(f"{function}({column})", start.form)
    else:
        value = f"{function}({day_of(column, start.form)})"
    shape = "" if start.form == "iso" else " (as YYYY-MM-DD)"
    label = thing.label_words
    question = w.pick(
        f"When was the {name} {event.one} of each {thing.one} {start.verb}{shape}? Show the "
        f"{label} and the date.",
        w.show(
            f"the {label} of each {thing.one} that has {event.many}, with the day{shape} their "
            f"{name} one was {start.verb}"
        ),
    )
    return Draft(
        question,
        f"SELECT {w.name_of(thing)}, {value} {w.tables(event, thing)} GROUP BY "
        f"{thing.column(thing.key)}",
    )


def across_tables(w: Writer) -> Draft | None:
    """Lines or events of one named thing, over one to three tables."""
    thing, event = w.thing, w.event
    name = w.rng.choice(thing.label[0].values)
    is_named = f"{w.name_of(thing)} = {literal(name)}"
    (money,) = event.of("money")
    total, wording = w.total(money, event.column(money.name), "sum")
    who = w.pick(f"the {thing.one} '{name}'", f"the {thing.one} {name}")
    condition = w.condition(event, "date", "category", "flag", "end")
    assert condition
    tables = w.tables(event, thing)
    columns = f"{w.name_of(event)}, {event.column(money.name)}"
    options = [
        *_line_questions(w, who, is_named),
        (
            w.tell(f"the total {money.words} of the {event.many} of {who}{wording}"),
            f"SELECT {total} {tables} WHERE {is_named}",
        ),
        (
            w.how_many(f"{event.many} of {who}", condition.tail),
            f"SELECT count(*) {tables} WHERE {is_named} AND {condition.sql}",
        ),
        (
            w.show(
                f"the {event.label_words} and {money.words} of the {event.many} of {who} that "
                f"{condition.tail}"
            ),
            f"SELECT {columns} {tables} WHERE {is_named} AND {condition.sql}",
        ),
    ]
    return Draft(*w.rng.choice(options))


def _line_questions(w: Writer, who: str, is_named: str) -> list[tuple[str, str]]:
    """Questions about the lines of one thing, over three tables, with their SQL."""
    event, line = w.event, w.line
    (amount,), (kind,) = line.of("number"), line.of("category")
    tables = w.tables(line, event, w.thing)
    return [
        (
            f"How many {line.many} do the {event.many} of {who} have in all?",
            f"SELECT count(*) {tables} WHERE {is_named}",
        ),
        (
            w.tell(f"the total {amount.words} over all {line.many} of {who}"),
            f"SELECT sum({line.column(amount.name)}) {tables} WHERE {is_named}",
        ),
        (
            f"Which {kind.words} values occur in the {line.many} of {who}? Show each once.",
            f"SELECT DISTINCT {line.column(kind.name)} {tables} WHERE {is_named}",
        ),
    ]


def owners(w: Writer) -> Draft | None:
    """Counts or totals of the events of each owner of things: three tables."""
    event, thing, owner = w.event, w.thing, w.thing.parent
    if not owner or owner.one == thing.one:
        return None
    (money,) = event.of("money")
    filters = w.maybe(event, 0.4)
    only = f", counting only {event.many} that {filters[0].tail}" if filters else ""
    value, words = "count(*)", f"number of {event.many}"
    if w.rng.random() < 0.5:
        value, wording = w.total(money, event.column(money.name), "sum", inside=True)
        words = f"total {money.words}{wording} of the {event.many}"
    name = owner.label_words
    sql = (
        f"SELECT {w.name_of(owner)}, {value} {w.tables(event, thing, owner)}{where(filters)} "
        f"GROUP BY {owner.column(owner.key)} ORDER BY {value} DESC"
    )
    if w.rng.random() < 0.3:
        what = f"the {name} of the {owner.one} whose {thing.many} have the highest {words}"
        return Draft(w.show_one(f"{what}, and that value{only}"), f"{sql} LIMIT 1")
    what = f"the {name} of each {owner.one} and the {words} of all their {thing.many}"
    return Draft(w.show(f"{what}{only}, largest first"), sql)


def revenue(w: Writer) -> Draft | None:
    """sum(a * b) over joins: of everything, by a group, or of the best."""
    line, event = w.line, w.event
    total, words = _revenue(w)
    kind = w.rng.choice(("all", "kind", "thing", "event", "period", "status"))
    if kind == "all":
        condition = w.condition(event, "date", "category")
        if not condition:
            return None
        return Draft(
            w.tell(f"the {words} of all {line.many} of {event.many} that {condition.tail}"),
            f"SELECT {total} {w.tables(line, event)} WHERE {condition.sql}",
        )
    group = _revenue_group(w, kind)
    if not group:
        return None
    sql = f"SELECT {group.select}, {total} {w.tables(*group.entities)} GROUP BY {group.key}"
    what = f"the {group.heading} and the {words} of the {line.many}"
    if kind == "period":
        return Draft(w.show(f"{what}, in order of the years"), f"{sql} ORDER BY {group.key}")
    if kind == "event" or w.rng.random() < 0.5:
        count = w.rng.choice((3, 5))
        return Draft(
            w.show(f"{what}, only the {count} highest, largest first"),
            f"{sql} ORDER BY {total} DESC LIMIT {count}",
        )
    return Draft(w.show(f"{what}, the largest first"), f"{sql} ORDER BY {total} DESC")


def _revenue(w: Writer) -> tuple[str, str]:
    """The sum of number times price over the lines, and words for it."""
    line = w.line
    (price,), (amount,) = line.of("money"), line.of("number")
    product = f"{line.column(amount.name)} * {line.column(price.name)}"
    total, wording = w.total(price, product, "sum", inside=True)
    product_words = f"{amount.words} times {price.words}"
    words = w.pick(
        f"revenue ({', '.join(filter(None, (product_words, wording.strip(' ()'))))})",
        f"sum of {product_words}{wording}",
        f"total of {product_words}{wording}",
        f"turnover, that is {product_words}{wording},",
    )
    return total, words


def _revenue_group(w: Writer, kind: str) -> Group | None:
    """What the lines are grouped by: their own kind, or something about their event."""
    line, event, thing = w.line, w.event, w.thing
    tables: tuple[Entity, ...] = (line, event)
    if kind == "kind":
        (sort,) = line.of("category")
        key = select = line.column(sort.name)
        heading, tables = sort.words, (line,)
    elif kind == "thing":
        key, select = thing.column(thing.key), w.name_of(thing)
        heading, tables = f"{thing.label_words} of each {thing.one}", (line, event, thing)
    elif kind == "event":
        key, select = event.column(event.key), w.name_of(event)
        heading = f"{event.label_words} of each {event.one}"
    elif kind == "period":
        (start,) = event.of("date")
        key = select = year_of(event.column(start.name), start.form)
        heading = f"year in which the {event.one} was {start.verb}"
    elif field := w.field(event, "category"):
        key = select = event.column(field.name)
        heading = f"{field.words} of the {event.many}"
    else:
        return None
    return Group(kind, heading, key, select, "", tables)
