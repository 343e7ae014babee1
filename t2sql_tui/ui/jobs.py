"""The slow work of the workbench: what its threads do with core, and the messages they post.

`core.ask`, `core.answers`, `core.prompting` and `core.sql` are imported inside functions only:
they bring sqlglot, whose 0.15 s the first paint need not wait for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.message import Message

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.types import (
    Answer,
    AskOptions,
    Backend,
    CheckedQuery,
    Question,
    Reading,
    Rejection,
    ShouldStop,
)
from t2sql_tui.ui.messages import (
    AttemptRejected,
    ModelWarmed,
    SQLChecked,
    SQLExplained,
    SQLGenerated,
    TextGenerated,
)
from t2sql_tui.ui.session import Request
from t2sql_tui.ui.sql_layout import lay_out, lay_out_partial
from t2sql_tui.ui.texts import Tone
from t2sql_tui.ui.versions import ColumnsRead, Proposal, Version

#: `post_message` of the widget that the work is for.
Post = Callable[[Message], object]

_PAINT_SECONDS = 0.03  # the least time between two paints of text that streams in


def warm(
    database: Database,
    backend: Backend,
    options: AskOptions,
    post: Post,
    should_stop: ShouldStop,
) -> None:
    """Let the model read the schema before the first question needs it."""
    from t2sql_tui.core.ask import prompt_for

    prompt = prompt_for(Question(""), database, backend, settings=options.settings)
    # What of a large schema fits depends on the question: nothing to prepare.
    if not prompt.left_out:
        backend.warm(prompt.prefix, should_stop)
    post(ModelWarmed())


def generate(request: Request, post: Post, should_stop: ShouldStop) -> None:
    """Ask the model, and post its text as it is written."""
    from t2sql_tui.core.ask import ask

    pieces: list[str] = []
    painted = 0.0

    def on_text(piece: str) -> None:
        nonlocal painted
        pieces.append(piece)
        if time.monotonic() - painted > _PAINT_SECONDS:
            painted = time.monotonic()
            post(TextGenerated(request.job, "".join(pieces)))

    def on_attempt(number: int, rejection: Rejection) -> None:
        pieces.clear()
        post(AttemptRejected(request.job, number, rejection))

    answer = ask(
        request.question,
        request.database,
        request.backend,
        request.options,
        on_text=on_text,
        on_attempt=on_attempt,
        should_stop=should_stop,
    )
    post(SQLGenerated(request.job, propose(answer, request.database)))


def propose(answer: Answer, database: Database) -> Proposal:
    """The answer with what there is to choose from: its own candidate first."""
    from t2sql_tui.core.answers import describe

    if not answer.query:
        return Proposal(answer)
    readings = describe.choices(answer) or [Reading(answer.candidate)]
    sqls = [reading.candidate.sql for reading in readings]
    summaries = describe.tell_apart(sqls, database.schema) if len(sqls) > 1 else sqls
    changes = [describe.changes(reading) for reading in readings]
    for index, reading in enumerate(readings):
        if index and not reading.votes:  # made from the first: what was changed says more
            further = [text for text in changes[index] if text not in changes[0]]
            summaries[index] = " ".join(further) or summaries[index]
    versions = tuple(
        Version(
            lay_out(reading.candidate.sql),
            summary,
            " ".join(changed),
            describe.warnings_text(reading),
            reading,
            columns_read(reading.candidate.verdict, database),
        )
        for reading, summary, changed in zip(readings, summaries, changes, strict=True)
    )
    return Proposal(
        answer,
        versions,
        describe.summary(answer),
        tone=_tone(answer.confidence),
        asks_which=describe.asks_which(answer),
    )


def _tone(confidence: float | None) -> Tone:
    """Green for an answer that is sure, amber for one that could be wrong."""
    from t2sql_tui.core.answers import describe

    if confidence is None or describe.LIKELY <= confidence < describe.SURE:
        return ""
    return "good" if confidence >= describe.SURE else "warning"


def columns_read(verdict: object, database: Database) -> ColumnsRead:
    """Tables and columns that a query would read; nothing for what is no checked query."""
    from t2sql_tui.core.answers import explain

    return explain.columns_read(verdict, database) if isinstance(verdict, CheckedQuery) else {}


def check_sql(job: int, sql: str, database: Database, run: bool, post: Post) -> None:
    """Check SQL that a person wrote or chose; `run` is passed on to the message."""
    from t2sql_tui.core.sql.check import check

    verdict = check(sql, database)
    post(SQLChecked(job, verdict, run, columns_read(verdict, database)))


def explain_query(query: CheckedQuery, database: Database, post: Post) -> None:
    """Put a query into words, and get SQLite's plan of it."""
    from t2sql_tui.core.answers.explain import explain, query_plan

    post(SQLExplained(explain(query.sql, database.schema), query_plan(query, database)))


def sql_so_far(text: str) -> str:
    """What to show of an answer that is still being written."""
    from t2sql_tui.core.sql.extract import extract_sql

    sql = extract_sql(text)
    return lay_out_partial(sql) if sql else text
