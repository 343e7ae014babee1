"""What the workbench says: of a schema, of an answer, of what a query reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.types import Answer, Rejection, Schema
from t2sql_tui.ui.cells import duration, one_line

Tone = Literal["", "busy", "good", "warning", "error"]


class StatusText(NamedTuple):
    """A line of text, what to press next, and how to colour it."""

    text: str
    hint: str = ""
    tone: Tone = ""


# --- of a schema ------------------------------------------------------------------


def table_count(schema: Schema) -> str:
    """1 table, 1,200 tables."""
    count = len(schema.tables)
    return f"{count:,} table{'' if count == 1 else 's'}"


def preview_sql(name: str, schema: Schema | None) -> str:
    """The SQL for the rows of a table, without its columns that cannot be read."""
    table = schema.table(name) if schema else None
    columns = [c for c in table.columns if not c.hidden] if table else []
    readable = [quote_identifier(c.name) for c in columns if not c.problem]
    terms = ", ".join(readable) if 0 < len(readable) < len(columns) else "*"
    return f"SELECT {terms}\nFROM {quote_identifier(name)}"


def example_questions(schema: Schema) -> list[str]:
    """Questions that any file can answer, made from its own names."""
    tables = sorted(
        (t for t in schema.tables if t.kind == "table"), key=lambda t: -(t.row_count or 0)
    )[:3]
    questions = [f"How many {_readable(table.name)} are there?" for table in tables[:2]]
    for table in tables:
        for key in table.foreign_keys[:1]:
            if key.table != table.name:
                one, many = _readable(key.table), _readable(table.name)
                questions.append(f"Which {one} have the most {many}?")
    questions += [f"Show ten {_readable(table.name)}" for table in tables[:1]]
    return questions


def _readable(name: str) -> str:
    return one_line(name).replace("_", " ")


# --- of an answer -----------------------------------------------------------------


def model_note(answer: Answer) -> str:
    """Which model wrote the SQL, and how long all its attempts took."""
    total = sum(generation.seconds for generation in answer.generations)
    return f"{answer.generations[-1].model} · {duration(total)}"


def missing_sql_text(answer: Answer) -> str:
    """Why the answer has no usable SQL, where that is not for its check to say; else ""."""
    if answer.generations[-1].finish == "length":
        return "The model went on without an end, and was stopped."
    if not answer.candidate.text.strip():
        return "The model answered nothing."
    if not answer.candidate.sql:
        return "The model answered in words, not SQL."
    return ""


def rejection_text(rejection: Rejection, reason: str, has_question: bool) -> StatusText:
    """Why SQL cannot run, the nearest names, and what to do. `reason` overrides the check's."""
    message = reason or rejection.message or "This cannot run."
    names = [name for problem in rejection.problems for name in problem.suggestions]
    unnamed = [one_line(name) for name in dict.fromkeys(names) if name not in message]
    nearest = f"Near: {', '.join(unnamed)}. " if unnamed else ""
    retry = "e edits it, r asks for another." if has_question else "e edits it."
    return StatusText(one_line(message), nearest + retry, "error")


# --- of what a query reads --------------------------------------------------------


def proposal_text(reads: str, left_out: tuple[str, ...]) -> StatusText:
    """What a query that waits for approval would read. `left_out` are tables that the model
    did not see."""
    text = f"Reads {reads}, and changes nothing."
    if not left_out:
        return StatusText(text, "a runs it", "good")
    names = ", ".join(map(one_line, left_out[:4])) + ("…" if len(left_out) > 4 else "")
    hint = f"Too large for the model to see whole: {len(left_out):,} tables left out ({names})."
    return StatusText(text, hint, "warning")


def describe_reads(reads: Mapping[str, tuple[str, ...]], schema: Schema) -> str:
    """Tables with the columns read of them: orders (id, total), customers (all 9 columns)."""
    parts = []
    for name, columns in list(reads.items())[:6]:
        table = schema.table(name)
        if not columns:
            detail = ""
        elif table and len(columns) > 3 and len(columns) == len(table.columns):
            detail = f" (all {len(columns)} columns)"
        else:
            shown = ", ".join(map(one_line, columns[:8])) + (", …" if len(columns) > 8 else "")
            detail = f" ({shown})"
        parts.append(one_line(name) + detail)
    more = f" and {len(reads) - 6} more" if len(reads) > 6 else ""
    return (", ".join(parts) + more) or "no table"
