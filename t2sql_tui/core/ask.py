"""A question in, checked SQL out: prompt, generate, extract, check, compare, and repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from t2sql_tui.core.answers.confidence import confidence, load_confidence
from t2sql_tui.core.answers.rank import read, with_rows_once, with_stored_values
from t2sql_tui.core.answers.rewrites.dates import with_read_dates
from t2sql_tui.core.answers.rewrites.joins import with_linked_joins
from t2sql_tui.core.database.database import Database
from t2sql_tui.core.prompting.prompt import build_prompt
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.constraint import SchemaConstraint
from t2sql_tui.core.sql.extract import extract_sql
from t2sql_tui.core.types import (
    Answer,
    AskOptions,
    Backend,
    Candidate,
    CheckedQuery,
    Constraint,
    Generation,
    GenerationSettings,
    OnText,
    Prompt,
    Question,
    Reading,
    Rejection,
    Schema,
    ShouldStop,
    ValueMatch,
)

OnAttempt = Callable[[int, Rejection], None]


def ask(
    question: Question,
    database: Database,
    backend: Backend,
    options: AskOptions = AskOptions(),
    *,
    on_text: OnText | None = None,
    on_attempt: OnAttempt | None = None,
    should_stop: ShouldStop | None = None,
    shown: Schema | None = None,
) -> Answer:
    """The model's SQL for `question`, checked against `database`. `shown` is what the model
    sees of the schema, by default all that fits.

    Candidates that are compared are run under the locks and within `rank.LIMITS`, and the
    answer is that of the best reading. Where every candidate is rejected, further prompts
    show the model its SQL and what was wrong with it; `on_attempt(number, rejection)`
    announces each. The answer's candidate is then the last that failed; its verdict is None
    only if `should_stop` ended the work.

    Raises: ModelError, DatabaseError.
    """
    settings = options.settings
    values = find_values(database, question.text)
    generations: list[Generation] = []
    failed: tuple[str, str] | None = None
    constraint = _constraint_of(database.schema) if settings.constrained else None
    readings: tuple[Reading, ...] = ()
    for attempt in range(options.repairs + 1):
        prompt = prompt_for(question, database, backend, values, settings, failed, shown)
        generation = backend.generate(prompt, settings, on_text, should_stop, constraint)
        if generation.finish == "cancelled":
            candidate = generation.candidates[0] if generation.candidates else Candidate("")
            return Answer(question, candidate, (*generations, generation), values)
        generation = replace(
            generation, candidates=tuple(judge(c, database) for c in generation.candidates)
        )
        generations.append(generation)
        best = pick(generation)
        if options.compare:
            readings = _compare(generation, database, question, values, settings, should_stop)
            best = readings[0].candidate
        if isinstance(best.verdict, CheckedQuery) or attempt == options.repairs:
            break
        assert isinstance(best.verdict, Rejection)
        if failed and failed[0] == best.sql:
            settings = options.retry_settings(settings)
        failed = (best.sql or best.text[:500], best.verdict.message)
        if on_attempt:
            on_attempt(attempt + 1, best.verdict)
    answer = Answer(question, best, tuple(generations), values, readings)
    if options.states_confidence and (fitted := load_confidence(backend.spec)):
        answer = replace(answer, confidence=confidence(answer, fitted))
    return answer


def _compare(
    generation: Generation,
    database: Database,
    question: Question,
    values: tuple[ValueMatch, ...],
    settings: GenerationSettings,
    should_stop: ShouldStop | None,
) -> tuple[Reading, ...]:
    """The readings of a generation, dates read as they are stored and tables joined as the
    keys say; where the best finds no rows, with the one that looks for the nearest stored
    values instead; where it adds up repeated rows, with the one that takes each once."""
    candidates = [
        with_linked_joins(with_read_dates(candidate, database, should_stop), database, should_stop)
        for candidate in generation.candidates
    ]
    readings = read(
        candidates,
        database,
        question,
        values,
        sampled=not settings.search,
        should_stop=should_stop,
    )
    best = readings[0]
    if "empty" in best.warnings:
        stored = with_stored_values(best, database, question, should_stop)
        if stored:
            return (stored, replace(best, votes=0, share=0.0), *readings[1:])
    return with_rows_once(readings, database, question, values, should_stop)


@lru_cache(maxsize=4)
def _constraint_of(schema: Schema) -> Constraint:
    return SchemaConstraint(schema).accepts


def prompt_for(
    question: Question,
    database: Database,
    backend: Backend,
    values: tuple[ValueMatch, ...] = (),
    settings: GenerationSettings = GenerationSettings(),
    failed: tuple[str, str] | None = None,
    shown: Schema | None = None,
) -> Prompt:
    """The prompt in the version and chat format of the backend's model."""
    spec = backend.spec
    if shown:
        values = tuple(value for value in values if shown.table(value.table))
    return build_prompt(
        shown or database.schema,
        question,
        values,
        version=spec.prompt_version,
        chat_format=spec.chat_format,
        budget=spec.context - settings.max_tokens,
        count_tokens=backend.count_tokens,
        failed=failed,
    )


def judge(candidate: Candidate, database: Database) -> Candidate:
    """`candidate` with its SQL extracted and checked."""
    sql = extract_sql(candidate.text)
    return replace(candidate, sql=sql, verdict=check(sql, database))


def pick(generation: Generation) -> Candidate:
    """The first candidate that passed the check, else the first."""
    passed = (c for c in generation.candidates if isinstance(c.verdict, CheckedQuery))
    return next(passed, generation.candidates[0])
