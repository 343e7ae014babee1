"""Questions over several tables: things and what did or did not happen to them."""

from __future__ import annotations

from collections.abc import Sequence

from t2sql_tui.core.english import plural_noun, with_article
from t2sql_tui.core.identifiers import quote_identifier
from trainer.synthesis.dates import day_of, year_of
from trainer.synthesis.writer import Condition, Draft, Writer, literal, where


def without(w: Writer) -> Draft | None:
    """Things that nothing (of a kind) happened to."""
    event, thing = w.event, w.thing
    found = w.maybe(event, 0.6)
    none = _nothing(w, found)
    tail = w.pick(
        f"have no {event.many}{w.that(found)}", f"do not have any {event.many}{w.that(found)}"
    )
    if not found:
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
        f"Which {thing.many} {tail}? Give their {plural_noun(thing.called)}.",
    )
    return Draft(question, f"SELECT {w.name_of(thing)} {w.tables(thing)} WHERE {none}")


def _nothing(w: Writer, found: Sequence[Condition]) -> str:
    """A condition on things: no such event. NOT IN only where no link is NULL, for it is never
    true otherwise; NOT EXISTS always."""
    event, thing = w.event, w.thing
    if not event.orphans and w.rng.random() < 0.5:
        return (
            f"{thing.column(thing.key)} NOT IN (SELECT {event.column(event.link)} "
            f"{w.tables(event)}{where(found)})"
        )
    return (
        f"NOT EXISTS (SELECT 1 {w.tables(event)} WHERE {event.column(event.link)} = "
        f"{thing.column(thing.key)}{''.join(f' AND {c.sql}' for c in found)})"
    )


def both(w: Writer) -> Draft | None:
    """Things that had this and that; INTERSECT, for one row can hardly be both."""
    return _set_operation(w, "INTERSECT")


def but_not(w: Writer) -> Draft | None:
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
    name = thing.called
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
    """How many per thing: with those that have none, or without."""
    event, thing = w.event, w.thing
    label = thing.called
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
    """HAVING over one hop, or two."""
    thing, event, line = w.thing, w.event, w.line
    deep = w.rng.random() < 0.35
    counted = line if deep else event
    limit = w.rng.randint(2, 9) * (2 if deep else 1)
    found = [] if deep or w.rng.random() < 0.5 else w.conditions(event, 1)
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
    name = thing.called
    some = " (but at least one)" if sign == "<" else ""
    through = f" over all their {event.many}" if deep else ""
    tail = f"have {words} {counted.many}{w.that(found)}{through}{some}"
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
        f"{w.tables(*entities)}{where(found)} GROUP BY {thing.column(thing.key)} HAVING count(*) "
        f"{sign} {limit}",
    )


def distinct_things(w: Writer) -> Draft | None:
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
            f"SELECT count(DISTINCT {event.column(event.link)}) {w.tables(event)}{where(found)}",
            (f"SELECT count({event.column(event.link)}) {w.tables(event)}{where(found)}",),
        )
    return Draft(
        w.pick(
            w.show(
                f"{w.names(thing)} of the {thing.many} that have {event.many}"
                f"{w.that(found)}, each only once"
            ),
            f"Which {thing.many} have {event.many}{w.that(found)}? Show each {thing.called} once.",
        ),
        f"SELECT DISTINCT {w.name_of(thing)} {w.tables(event, thing)}{where(found)}",
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
    label = thing.called
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
    thing, event, line = w.thing, w.event, w.line
    name = w.rng.choice(thing.label[0].values)
    is_named = f"{w.name_of(thing)} = {literal(name)}"
    (amount,), (kind,), (money,) = line.of("number"), line.of("category"), event.of("money")
    total, asked = w.total(money, event.column(money.name), "sum")
    who = w.pick(f"the {thing.one} '{name}'", f"the {thing.one} {name}")
    condition = w.condition(event, "date", "category", "flag", "end")
    assert condition
    deep = w.tables(line, event, thing)
    question, sql = w.rng.choice(
        (
            (
                f"How many {line.many} do the {event.many} of {who} have in all?",
                f"SELECT count(*) {deep} WHERE {is_named}",
            ),
            (
                w.tell(f"the total {amount.words} over all {line.many} of {who}"),
                f"SELECT sum({line.column(amount.name)}) {deep} WHERE {is_named}",
            ),
            (
                f"Which {kind.words} values occur in the {line.many} of {who}? Show each once.",
                f"SELECT DISTINCT {line.column(kind.name)} {deep} WHERE {is_named}",
            ),
            (
                w.tell(f"the total {money.words} of the {event.many} of {who}{asked}"),
                f"SELECT {total} {w.tables(event, thing)} WHERE {is_named}",
            ),
            (
                w.how_many(f"{event.many} of {who}", condition.tail),
                f"SELECT count(*) {w.tables(event, thing)} WHERE {is_named} AND {condition.sql}",
            ),
            (
                w.show(
                    f"the {event.called} and {money.words} of the {event.many} of {who} that "
                    f"{condition.tail}"
                ),
                f"SELECT {w.name_of(event)}, {event.column(money.name)} {w.tables(event, thing)} WHERE "
                f"{is_named} AND {condition.sql}",
            ),
        )
    )
    return Draft(question, sql)


def owners(w: Writer) -> Draft | None:
    """What happened to the things of each owner: three tables and more."""
    event, thing, owner = w.event, w.thing, w.thing.parent
    if not owner or owner.one == thing.one:
        return None
    (money,) = event.of("money")
    found = w.maybe(event, 0.4)
    only = f", counting only {event.many} that {found[0].tail}" if found else ""
    value, words = "count(*)", f"number of {event.many}"
    if w.rng.random() < 0.5:
        value, asked = w.total(money, event.column(money.name), "sum", inside=True)
        words = f"total {money.words}{asked} of the {event.many}"
    name = owner.called
    sql = (
        f"SELECT {w.name_of(owner)}, {value} {w.tables(event, thing, owner)}{where(found)} "
        f"GROUP BY {owner.column(owner.key)} ORDER BY {value} DESC"
    )
    if w.rng.random() < 0.3:
        what = f"the {name} of the {owner.one} whose {thing.many} have the highest {words}"
        return Draft(w.show_one(f"{what}, and that value{only}"), f"{sql} LIMIT 1")
    what = f"the {name} of each {owner.one} and the {words} of all their {thing.many}"
    return Draft(w.show(f"{what}{only}, largest first"), sql)


def revenue(w: Writer) -> Draft | None:
    """sum(a * b) over joins: of everything, by a group, or of the best."""
    line, event, thing = w.line, w.event, w.thing
    (price,), (amount,), (kind,) = line.of("money"), line.of("number"), line.of("category")
    product = f"{line.column(amount.name)} * {line.column(price.name)}"
    total, asked = w.total(price, product, "sum", inside=True)
    product_words = f"{amount.words} times {price.words}"
    words = w.pick(
        f"revenue ({', '.join(filter(None, (product_words, asked.strip(' ()'))))})",
        f"sum of {product_words}{asked}",
        f"total of {product_words}{asked}",
        f"turnover, that is {product_words}{asked},",
    )
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
        key, shown = thing.column(thing.key), f"{thing.called} of each {thing.one}"
        select, entities = w.name_of(thing), (line, event, thing)
    elif group == "event":
        key, shown = event.column(event.key), f"{event.called} of each {event.one}"
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
