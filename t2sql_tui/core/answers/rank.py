"""Which candidate answers the question? They are run, grouped by their rows, and ranked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.coverage import Coverage, coverage
from t2sql_tui.core.answers.execution import Execution, executions, rows_key
from t2sql_tui.core.answers.warnings.table import WARNINGS, find_warnings
from t2sql_tui.core.sql.lexer import normalized_spelling
from t2sql_tui.core.types import Candidate, CheckedQuery, Reading

#: What it costs, in units of log-probability as warnings do, to use nothing that the question
#: names, and to have no construction for one of its phrases. Chosen on spider-train-holdout.
UNUSED_WORDS_COST = 3.0
UNMET_PHRASE_COST = 2.5


def ranked_readings(
    candidates: Sequence[Candidate], context: AnswerContext, *, sampled: bool = False
) -> tuple[Reading, ...]:
    """The readings of judged `candidates`, best first; candidates of the same rows are one.

    A candidate counts by its probability; of `sampled` ones each counts once, because being
    drawn is what probability did for it. Takes execution.TOTAL_SECONDS at most, however long
    they would run: what there was no time for has the warning "timeout".
    """
    keys: dict[str, object] = {}  # of the rows, by the spelling of the SQL
    readings: dict[object, Reading] = {}
    for spelling, execution in executions(candidates, context):
        key = keys[spelling] = rows_key(execution.result) if execution.result else spelling
        if key not in readings:
            readings[key] = reading_of(execution, context, votes=0, share=0.0)
    weights: dict[object, list[float]] = defaultdict(list)
    for candidate, weight in zip(candidates, _weights(candidates, sampled), strict=True):
        weights[keys[normalized_spelling(candidate.sql)]].append(weight)
    total = sum(weight for key in readings for weight in weights[key])
    ranked = [
        replace(reading, votes=len(weights[key]), share=sum(weights[key]) / total)
        for key, reading in readings.items()
    ]
    return tuple(sorted(ranked, key=score, reverse=True))


def _weights(candidates: Sequence[Candidate], sampled: bool) -> list[float]:
    """How much each candidate counts, the likeliest 1."""
    if sampled:
        return [1.0] * len(candidates)
    top = max((candidate.logprob or 0.0 for candidate in candidates), default=0.0)
    return [math.exp((candidate.logprob or 0.0) - top) for candidate in candidates]


def reading_of(
    execution: Execution, context: AnswerContext, *, votes: int, share: float
) -> Reading:
    """The reading of one candidate that was run."""
    query = execution.candidate.verdict
    unused = Coverage()
    if execution.result and isinstance(query, CheckedQuery):
        unused = coverage(query, context.schema, context.question, context.values)
    found = find_warnings(execution, context)
    return Reading(
        execution.candidate,
        votes,
        share,
        tuple(found),
        execution.result,
        warning_sentences=tuple(found.values()),
        unused_words=unused.unused_words,
        unused_share=unused.unused_share,
        unmet_phrases=unused.unmet_phrases,
    )


def score(reading: Reading) -> float:
    """What readings are ranked by: the log of their share, less what their warnings, the
    unused words and the unmet phrases of the question cost."""
    cost = sum(WARNINGS[name].cost for name in reading.warnings)
    cost += UNUSED_WORDS_COST * reading.unused_share
    cost += UNMET_PHRASE_COST * len(reading.unmet_phrases)
    return math.log(max(reading.share, 1e-30)) - cost
