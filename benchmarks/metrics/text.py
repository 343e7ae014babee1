"""Likeness of a prediction's text to the gold, and text beside the SQL.

These say nothing about whether a query is right; they compare with other people's tables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean

from benchmarks.metrics.trees import parsed

_FENCE = re.compile(r"```(?:sqlite|sql)?", re.IGNORECASE)


def normalised(sql: str) -> str:
    """One spelling for one text: keywords in capitals, names and spacing as sqlglot writes
    them, no final semicolon. What sqlglot cannot read only has its white space joined."""
    if (tree := parsed(sql)) is not None:
        return tree.sql(dialect="sqlite", normalize=True, comments=False)
    return " ".join(sql.split()).rstrip("; ")


def same_string(gold: str, predicted: str) -> bool:
    """Exact string match after `normalised()`. Aliases and values count."""
    return normalised(gold) == normalised(predicted)


def bleu(golds: Sequence[str], predicted: Sequence[str]) -> float:
    """Corpus BLEU in 0..100 of the normalised texts (sacrebleu, its default tokens)."""
    from sacrebleu import corpus_bleu

    if not golds:
        return 0.0
    return corpus_bleu(
        [normalised(sql) for sql in predicted], [[normalised(sql) for sql in golds]]
    ).score


def rouge(golds: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Mean F1 in 0..100 of "rouge1", "rouge2" and "rougeL" (rouge-score, no stemming)."""
    from rouge_score.rouge_scorer import RougeScorer

    names = ["rouge1", "rouge2", "rougeL"]
    scorer = RougeScorer(names)
    scores = [
        scorer.score(normalised(gold), normalised(sql))
        for gold, sql in zip(golds, predicted, strict=True)
    ]
    return {
        name: 100 * fmean(score[name].fmeasure for score in scores) if scores else 0.0
        for name in names
    }


def is_chatty(raw: str, sql: str) -> bool:
    """Did the model write anything but the SQL? A code fence and its label are no chatter.

    `raw` is what the model wrote, `sql` what `extract_sql()` took from it.
    """
    rest = raw.replace(sql, "", 1) if sql else raw
    return bool(_FENCE.sub("", rest).strip(" \t\r\n;"))
