"""Prompts: a prefix that depends on the database alone, then a suffix for one question.

A version is one function in `PROMPTS`; the text a version makes is frozen by a golden
file once a model was trained on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.identifiers import folded, quote_identifier
from t2sql_tui.core.prompting.chat import CHAT_FORMATS, ChatFormat, find_format, neutralise
from t2sql_tui.core.prompting.schema_linking import rank_columns, rank_tables
from t2sql_tui.core.types import Column, Prompt, Question, Schema, Table, ValueMatch

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """`table` writes one table, `links` what follows the tables (keys, say), `suffix` the
    question. Every piece of outside text in them is neutralised by `build_prompt`."""

    name: str
    system: str
    table: Callable[[Table], str]
    links: Callable[[Sequence[Table]], str]
    suffix: Callable[[Question, Sequence[ValueMatch]], str]


# --- v1: for untuned models, which know CREATE TABLE best ---------------------------


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _ddl(table: Table) -> str:
    """One table as a CREATE TABLE statement with sample values as comments."""
    lines = []
    for column in table.columns:
        line = f"  {quote_identifier(column.name)} {column.type}".rstrip()
        if column.primary_key and sum(1 for c in table.columns if c.primary_key) == 1:
            line += " PRIMARY KEY"
        lines.append((line, ", ".join(column.samples[:3])))
    key = sorted((c for c in table.columns if c.primary_key), key=lambda c: c.primary_key)
    if len(key) > 1:
        names = ", ".join(quote_identifier(c.name) for c in key)
        lines.append((f"  PRIMARY KEY ({names})", ""))
    for link in table.foreign_keys:
        columns = ", ".join(map(quote_identifier, link.columns))
        target = ", ".join(map(quote_identifier, link.ref_columns))
        lines.append(
            (f"  FOREIGN KEY ({columns}) REFERENCES {quote_identifier(link.table)} ({target})", "")
        )
    body = "\n".join(
        line + ("," if number < len(lines) else "") + (f" -- {note}" if note else "")
        for number, (line, note) in enumerate(lines, start=1)
    )
    kind = "VIEW" if table.kind == "view" else "TABLE"
    return f"CREATE {kind} {quote_identifier(table.name)} (\n{body}\n);\n\n"


def _question_v1(question: Question, values: Sequence[ValueMatch]) -> str:
    lines = []
    if values:
        shown = ", ".join(
            f"{quote_identifier(m.table)}.{quote_identifier(m.column)} = {_literal(m.value)}"
            for m in values
        )
        lines.append(f"Stored values that the question may mean: {shown}")
    if question.evidence:
        lines.append(f"Hint: {question.evidence}")
    for turn in question.history:
        lines += [f"Earlier question: {turn.question}", f"Its SQL: {turn.sql}"]
    lines.append(f"Question: {question.text}")
    return "\n".join(lines)


# --- v2: for tuned models; every column by its full name, ready to be copied ----------


def _listing(table: Table) -> str:
    """`table.column` with type, key and two sample values as the SQL literals they are."""
    name = quote_identifier(table.name)
    lines = [f"{'view' if table.kind == 'view' else 'table'} {name}"]
    for column in table.columns:
        line = f"{name}.{quote_identifier(column.name)} {column.type.lower()}".rstrip()
        if column.primary_key:
            line += " key"
        if column.samples:
            line += " " + ", ".join(map(_sample, column.samples[:2]))
        lines.append(line)
    return "\n".join(lines) + "\n"


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z")


def _sample(value: str) -> str:
    return value if _NUMBER.match(value) else _literal(value)


def _joins(tables: Sequence[Table]) -> str:
    """Every key as the condition of the join that follows it, one a line."""
    shown = {folded(table.name) for table in tables}
    lines = []
    for table in tables:
        for link in table.foreign_keys:
            if folded(link.table) in shown:
                name, other = quote_identifier(table.name), quote_identifier(link.table)
                pairs = zip(link.columns, link.ref_columns, strict=True)
                lines.append(
                    "join "
                    + " AND ".join(
                        f"{name}.{quote_identifier(a)} = {other}.{quote_identifier(b)}"
                        for a, b in pairs
                    )
                )
    return "\n".join([*lines, "", ""])


def _question_v2(question: Question, values: Sequence[ValueMatch]) -> str:
    lines = [f"earlier: {turn.question}\n{turn.sql}" for turn in question.history]
    lines.append(question.text)
    if question.evidence:
        lines.append(f"hint: {question.evidence}")
    lines += [
        f"{quote_identifier(m.table)}.{quote_identifier(m.column)} = {_literal(m.value)}"
        for m in values
    ]
    return "\n".join(lines)


PROMPTS: dict[str, PromptVersion] = {
    version.name: version
    for version in (
        PromptVersion(
            name="v1",
            system=(
                "You are a SQLite expert. Answer the question with one SQLite SELECT statement "
                "over the tables below and nothing else. Use only the columns that are listed, "
                "and return only the columns that are asked for."
            ),
            table=_ddl,
            links=lambda tables: "",
            suffix=_question_v1,
        ),
        PromptVersion(
            name="v2",
            system="Write one SQLite query for the question.",
            table=_listing,
            links=_joins,
            suffix=_question_v2,
        ),
    )
}


# --- building -----------------------------------------------------------------------


def build_prompt(
    schema: Schema,
    question: Question,
    values: Sequence[ValueMatch] = (),
    *,
    version: str = "v1",
    chat_format: str = "chatml",
    budget: int | None = None,
    count_tokens: CountTokens | None = None,
    failed: tuple[str, str] | None = None,
) -> Prompt:
    """The finished prompt for one question.

    `budget` is how many tokens prefix and suffix may take together, as `count_tokens`
    counts them; a schema that does not fit, or that is large, is cut to the tables that the
    question is likeliest to need, and `Prompt.left_out` names the others. `failed` is a SQL
    that did not work and the reason, for a repair.

    Raises: ModelError for an unknown version or chat format, or a question that alone
    exceeds the budget.
    """
    form, wording = _lookup(chat_format, version)
    kept: Sequence[Table] = schema.tables
    body, suffix = _body(wording, kept), _suffix(wording, question, values, failed)
    if budget is not None and count_tokens is not None:
        room = _room(form, wording, body, suffix, budget, count_tokens)
        if room is not None:
            kept = _fit(schema, question, values, wording, room, count_tokens)
            shown = {(table.name, column.name) for table in kept for column in table.columns}
            values = [match for match in values if (match.table, match.column) in shown]
            body, suffix = _body(wording, kept), _suffix(wording, question, values, failed)
    prefix, end = form.render(wording.system, body, suffix)
    names = {table.name for table in kept}
    return Prompt(
        version=version,
        chat_format=chat_format,
        prefix=prefix,
        suffix=end,
        stop=(form.end,),
        left_out=tuple(t.name for t in schema.tables if t.name not in names),
    )


def _body(wording: PromptVersion, tables: Sequence[Table]) -> str:
    return neutralise("".join(map(wording.table, tables)) + wording.links(tables))


def _room(
    form: ChatFormat,
    wording: PromptVersion,
    body: str,
    suffix: str,
    budget: int,
    count_tokens: CountTokens,
) -> int | None:
    """How many tokens the tables may take of a schema that must be cut; None for one that is
    shown whole. Raises: ModelError where the question alone exceeds the budget."""
    prefix, end = form.render(wording.system, body, suffix)
    large = len(body.encode()) > LARGE
    # A token is at least one byte: what is short enough in bytes needs no counting.
    fits = len(prefix.encode()) + len(end.encode()) <= budget
    if not large and (fits or count_tokens(prefix) + count_tokens(end) <= budget):
        return None
    room = budget - count_tokens(end) - count_tokens(form.render(wording.system, "", "")[0])
    if room < 0:
        raise ModelError(
            "The question is too long for this model's context.",
            "Ask it in fewer words, or choose a model with a larger context.",
        )
    return min(room, SHOWN) if large else room


def _suffix(
    wording: PromptVersion,
    question: Question,
    values: Sequence[ValueMatch],
    failed: tuple[str, str] | None,
) -> str:
    text = wording.suffix(question, values)
    if failed:
        sql, reason = failed
        text += f"\nThis SQL is wrong: {sql}\nBecause: {reason}\nWrite the corrected SQL."
    return neutralise(text)


def _lookup(chat_format: str, version: str) -> tuple[ChatFormat, PromptVersion]:
    form = find_format(chat_format)
    if form is None:
        raise ModelError(
            f"This program does not know the chat format '{chat_format}'.",
            f"Known: {', '.join(CHAT_FORMATS)}.",
        )
    if version not in PROMPTS:
        raise ModelError(
            f"This program does not know prompt version '{version}'.",
            f"Known: {', '.join(PROMPTS)}. A newer release may know it: upgrade t2sql-tui.",
        )
    return form, PROMPTS[version]


# --- a schema that does not fit, or is large ----------------------------------------

# A schema of up to LARGE bytes is shown whole: its text is the same for every question and
# evaluated once. Spider's largest database takes 13,020, at 3.3 to 3.5 bytes a token. Of a
# larger one, whose text would be evaluated for every question anew, SHOWN tokens are shown:
# about as many as a database of ten tables takes.
LARGE = 16_000
SHOWN = 1_600
MISSES = 10  # so many tables that do not fit end the search for one that does


def _fit(
    schema: Schema,
    question: Question,
    values: Sequence[ValueMatch],
    wording: PromptVersion,
    room: int,
    count_tokens: CountTokens,
) -> list[Table]:
    """The best-ranked tables that fit into `room` tokens, in the schema's own order."""

    def cost_of(text: str) -> int:
        return count_tokens(neutralise(text))

    kept: dict[str, Table] = {}
    links = misses = 0  # tokens of the keys between the kept tables; tables that did not fit
    share = room // min(3, max(1, len(schema.tables)))
    for table in rank_tables(schema, question, values):
        cost = cost_of(wording.table(table))
        if cost > share:  # one giant table must not push out all others
            fitting = max(1, len(table.columns) * share // cost)
            table = _narrow(table, rank_columns(table, question, values)[:fitting])
            cost = cost_of(wording.table(table))
        with_links = cost_of(wording.links([*kept.values(), table]))
        cost += with_links - links
        if cost <= room:
            kept[table.name] = table
            room, links = room - cost, with_links
        else:
            misses += 1
        if room < 20 or misses == MISSES:
            break
    return [kept[t.name] for t in schema.tables if t.name in kept]


def _narrow(table: Table, columns: Sequence[Column]) -> Table:
    """`table` with no columns but these, and with the keys that they can still make."""
    names = {column.name for column in columns}
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name in names),
        foreign_keys=tuple(key for key in table.foreign_keys if names.issuperset(key.columns)),
    )
