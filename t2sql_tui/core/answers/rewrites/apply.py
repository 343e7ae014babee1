"""Applies the table of rewrites: to candidates before they are run, to readings once ranked."""

from __future__ import annotations

from dataclasses import replace

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution, execute, rows_key
from t2sql_tui.core.answers.rank import reading_of
from t2sql_tui.core.answers.rewrites.table import REWRITES
from t2sql_tui.core.answers.rewrites.types import Rewrite, RewriteRule
from t2sql_tui.core.answers.warnings.table import find_warnings
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Candidate, CheckedQuery, Reading


def rewrite_candidate(candidate: Candidate, context: AnswerContext) -> Candidate:
    """`candidate` after every rewrite that comes before ranking, each on what the one before it
    made; the same candidate where none applies."""
    for rule in REWRITES:
        if rule.stage == "every candidate" and (rewrite := rule.rewrite(candidate, context)):
            candidate = _rewritten(candidate, rewrite, context) or candidate
    return candidate


def rewrite_readings(readings: tuple[Reading, ...], context: AnswerContext) -> tuple[Reading, ...]:
    """`readings`, best first, with a rewrite of the best: the first rule whose warning the best
    has and that finds rows. The same readings where there is none."""
    best, *others = readings
    for rule in REWRITES:
        if rule.stage == "every candidate" or rule.warning not in best.warnings:
            continue
        rewrite = rule.rewrite(best.candidate, context)
        candidate = _rewritten(best.candidate, rewrite, context) if rewrite else None
        if rewrite is None or candidate is None:
            continue
        execution = execute(candidate, context)
        if not _is_offered(rule, execution, readings):
            continue
        if rule.stage == "instead of the best":
            # What of the question is used stays as the model wrote it: the stored values stand
            # for the texts that they replace.
            found = find_warnings(execution, context)
            new = replace(
                best,
                candidate=candidate,
                warnings=tuple(found),
                warning_sentences=tuple(found.values()),
                result=execution.result,
                replaced=rewrite.replaced,
            )
            return new, replace(best, votes=0, share=0.0), *others
        return best, reading_of(execution, context, votes=0, share=0.0), *others
    return readings


def _rewritten(candidate: Candidate, rewrite: Rewrite, context: AnswerContext) -> Candidate | None:
    """`candidate` with the SQL of `rewrite`; None where that does not pass the check."""
    verdict = check(rewrite.sql, context.database)
    if not isinstance(verdict, CheckedQuery):
        return None
    return replace(
        candidate,
        sql=rewrite.sql,
        verdict=verdict,
        rewrites=(*candidate.rewrites, *rewrite.sentences),
    )


def _is_offered(rule: RewriteRule, execution: Execution, readings: tuple[Reading, ...]) -> bool:
    """Whether the rows of a rewritten best reading are worth showing."""
    if execution.result is None:
        return False
    if rule.stage == "instead of the best":
        return bool(execution.result.rows)
    return rows_key(execution.result) not in [rows_key(r.result) for r in readings if r.result]
