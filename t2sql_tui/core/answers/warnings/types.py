"""What a warning is: a sentence on what suggests that a SQL is wrong, with the evidence in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution


@dataclass(frozen=True, slots=True)
class WarningRule:
    """`find` gives the sentence for a person, "" where there is nothing to warn of. `cost` is in
    units of log-probability: a reading with the warning must be exp(cost) times likelier to be
    preferred; 0 where it only tells, and lowers the confidence."""

    name: str
    cost: float
    find: Callable[[Execution, AnswerContext], str]
