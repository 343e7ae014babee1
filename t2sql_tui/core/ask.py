"""A question in, checked SQL out.

`ask()` is the pipeline: the stored values that the question mentions, the prompt, the model's
candidates, the check, the rewrites, the rows, the ranking and the confidence; and once more from
the prompt where every candidate was rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from t2sql_tui.core.answers.confidence import confidence, load_confidence
from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.rank import ranked_readings
from t2sql_tui.core.answers.rewrites.apply import rewrite_candidate, rewrite_readings
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
    ModelSpec,
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

    Candidates that are compared are run under the locks and within `execution.LIMITS`, and the
    answer is that of the best reading; else it is the first that passed the check. Where every
    candidate is rejected, further prompts show the model its SQL and what was wrong with it;
    `on_attempt(number, rejection)` announces each. The answer's candidate is then the last that
    failed; its verdict is None only if `should_stop` ended the work.

    Raises: ModelError, DatabaseError.
    """
    values = find_values(database, question.text)
    context = AnswerContext(database, question, values, should_stop)
    settings = options.settings
    constraint = _constraint_of(database.schema) if settings.constrained else None
    failed: tuple[str, str] | None = None
    generations: list[Generation] = []
    readings: tuple[Reading, ...] = ()
    for attempt in range(options.repairs + 1):
        prompt = prompt_for(question, database, backend, values, settings, failed, shown)
        generation = backend.generate(prompt, settings, on_text, should_stop, constraint)
        if generation.finish == "cancelled":
            candidate = generation.candidates[0] if generation.candidates else Candidate("")
            return Answer(question, candidate, (*generations, generation), values)
        candidates = tuple(judge(c, database) for c in generation.candidates)
        generations.append(replace(generation, candidates=candidates))
        if options.compare:
            readings = _compare(candidates, context, sampled=not settings.search)
        best = readings[0].candidate if options.compare else first_accepted(candidates)
        if isinstance(best.verdict, CheckedQuery) or attempt == options.repairs:
            break
        assert isinstance(best.verdict, Rejection)
        if failed and failed[0] == best.sql:
            settings = options.retry_settings(settings)
        failed = (best.sql or best.text[:500], best.verdict.message)
        if on_attempt:
            on_attempt(attempt + 1, best.verdict)
    answer = Answer(question, best, tuple(generations), values, readings)
    return _with_confidence(answer, backend.spec) if options.states_confidence else answer


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


def first_accepted(candidates: Sequence[Candidate]) -> Candidate:
    """The first candidate that passed the check, else the first."""
    accepted = (c for c in candidates if isinstance(c.verdict, CheckedQuery))
    return next(accepted, candidates[0])


def _compare(
    candidates: Sequence[Candidate], context: AnswerContext, *, sampled: bool
) -> tuple[Reading, ...]:
    """The readings of judged candidates, best first: rewritten, run, ranked, and the best of
    them rewritten once more where its rows give reason to."""
    rewritten = [rewrite_candidate(candidate, context) for candidate in candidates]
    return rewrite_readings(ranked_readings(rewritten, context, sampled=sampled), context)


def _with_confidence(answer: Answer, spec: ModelSpec) -> Answer:
    """`answer` with its confidence, where one was fitted for the model. A follow-up is never surer
    than what it follows."""
    fitted = load_confidence(spec)
    if not fitted:
        return answer
    before = [turn.confidence for turn in answer.question.history if turn.confidence is not None]
    return replace(answer, confidence=min(confidence(answer, fitted), *before[-1:], 1.0))
