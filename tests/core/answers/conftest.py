from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.rank import ranked_readings
from t2sql_tui.core.ask import judge
from t2sql_tui.core.database.database import Database
from t2sql_tui.core.types import Candidate, Question, Reading, ValueMatch


@pytest.fixture
def read() -> Callable[..., tuple[Reading, ...]]:
    """`read(database, *texts)` gives the ranked readings of these answers, the first likeliest."""

    def readings(
        database: Database,
        *texts: str,
        logprobs: Sequence[float] = (),
        question: str = "?",
        values: Sequence[ValueMatch] = (),
        **options: Any,
    ) -> tuple[Reading, ...]:
        logprobs = logprobs or [-float(number) for number in range(len(texts))]
        candidates = [
            judge(Candidate(text, logprob=score), database)
            for text, score in zip(texts, logprobs, strict=True)
        ]
        context = AnswerContext(database, Question(question), values)
        return ranked_readings(candidates, context, **options)

    return readings
