"""Joins that no key says, rewritten to the path of joins that the keys do say."""

from __future__ import annotations

from collections import defaultdict

from sqlglot import exp, parse_one

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.joins import finds_rows, unlinked_joins
from t2sql_tui.core.answers.rewrites.types import Rewrite
from t2sql_tui.core.identifiers import folded, quote_identifier
from t2sql_tui.core.sql.tree import from_clause
from t2sql_tui.core.types import Candidate, CheckedQuery, Schema

_Step = tuple[str, str, str, str]  # a table, its column, the next table, that one's column

LONGEST_PATH = 3  # keys in a path; further tables are rarely meant together


def rewrite_unlinked_joins(candidate: Candidate, context: AnswerContext) -> Rewrite | None:
    """The SQL with each unlinked join replaced by the shortest path that the keys say, through
    further tables if need be. None where there is none, where there are several paths to choose
    from, and where texts match: a state's capital is a city's name, though no key says so; equal
    numbers say nothing."""
    query = candidate.verdict
    if not isinstance(query, CheckedQuery) or query.tree is None:
        return None
    tree = query.tree.copy()
    sentences: dict[str, None] = {}
    for select in list(tree.find_all(exp.Select)):
        for join, left, right in list(unlinked_joins(select, context.schema)):
            if _match_as_text(select, left, right, context):
                continue
            if sentence := _rejoin(select, join, left, right, context.schema):
                sentences[sentence] = None
    return Rewrite(tree.sql(dialect="sqlite"), tuple(sentences)) if sentences else None


def _rejoin(
    select: exp.Select, join: exp.Join, left: exp.Column, right: exp.Column, schema: Schema
) -> str:
    """Puts the path into `select`, and says which; "" where it was left as it is."""
    source = from_clause(select)
    if source is None or not (
        isinstance(join.this, exp.Table) and isinstance(join.args["on"], exp.EQ)
    ):
        return ""
    joins = select.args["joins"]
    index = joins.index(join)
    before = [source.this, *(other.this for other in joins[:index])]
    stored = {folded(t.alias_or_name): t.name for t in before if isinstance(t, exp.Table)}
    here = folded(join.this.alias_or_name)
    near, far = (left, right) if folded(right.table) == here else (right, left)
    if folded(far.table) != here or folded(near.table) not in stored:
        return ""
    path = _path(schema, stored[folded(near.table)], join.this.name)
    named = {folded(t.name) for t in select.find_all(exp.Table)}
    between = _joins_between(path, near.table, stored, named)
    if not path or between is None:
        return ""
    new, owner = between
    join.set("on", _condition(owner, path[-1][1], join.this.alias_or_name, path[-1][3]))
    select.set("joins", [*joins[:index], *new, *joins[index:]])
    tables = [step[2] for step in path[:-1]]
    through = f" through {' and '.join(tables)}" if tables else ""
    return f"{path[0][0]} and {path[-1][2]} are joined{through} as the keys say."


def _joins_between(
    path: list[_Step], owner: str, stored: dict[str, str], named: set[str]
) -> tuple[list[exp.Join], str] | None:
    """The joins of all tables of a path but its ends, and how the statement calls the table
    before the last; `owner` is how it calls the first, `stored` are the tables joined already by
    what they are called, `named` all that the SELECT names. None where one of them is joined
    further on, or twice: nobody knows which is meant."""
    new = []
    for _, column, next_table, next_column in path[:-1]:
        called = [alias for alias, name in stored.items() if folded(name) == folded(next_table)]
        if len(called) == 1:  # it is there already
            owner = called[0]
            continue
        if folded(next_table) in named:
            return None
        table = exp.to_table(quote_identifier(next_table), dialect="sqlite")
        new.append(exp.Join(this=table, on=_condition(owner, column, next_table, next_column)))
        owner = next_table
    return new, owner


def _condition(owner: str, column: str, next_owner: str, next_column: str) -> exp.Expr:
    return parse_one(
        f"{quote_identifier(owner)}.{quote_identifier(column)} = "
        f"{quote_identifier(next_owner)}.{quote_identifier(next_column)}",
        read="sqlite",
    )


def _match_as_text(
    select: exp.Select, left: exp.Column, right: exp.Column, context: AnswerContext
) -> bool:
    """Whether the two columns hold a text in common. What cannot be seen in a moment counts as a
    match: what the model wrote stays."""
    stored = {folded(t.alias_or_name): t.name for t in select.find_all(exp.Table)}
    (one, first), (two, second) = (
        (quote_identifier(stored.get(folded(c.table), "")), quote_identifier(c.name))
        for c in (left, right)
    )
    return finds_rows(
        f"SELECT 1 FROM {one} WHERE typeof({first}) = 'text' AND {first} <> '' "
        f"AND {first} IN (SELECT {second} FROM {two}) LIMIT 1",
        context,
        if_stopped=True,
    )


def _path(schema: Schema, start: str, end: str) -> list[_Step]:
    """The shortest way over keys of one column from a table to another; [] where there is none
    of at most LONGEST_PATH keys, or more than one as short."""
    steps: dict[str, list[_Step]] = defaultdict(list)
    for table in schema.tables:
        for key in table.foreign_keys:
            ref = schema.table(key.table)
            if ref is None or len(key.columns) != 1 or len(key.ref_columns) != 1:
                continue
            column, ref_column = key.columns[0], key.ref_columns[0]
            steps[folded(table.name)].append((table.name, column, ref.name, ref_column))
            steps[folded(ref.name)].append((ref.name, ref_column, table.name, column))
    ways: list[list[_Step]] = [[step] for step in steps[folded(start)]]
    for _ in range(LONGEST_PATH):
        there = [way for way in ways if folded(way[-1][2]) == folded(end)]
        if there:
            return there[0] if len(there) == 1 else []
        ways = [
            [*way, step]
            for way in ways
            for step in steps[folded(way[-1][2])]
            if folded(step[2]) not in {folded(start), *(folded(s[2]) for s in way)}
        ]
    return []
