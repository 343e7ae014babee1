"""What a rewrite is: SQL changed without asking the model again, and said so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.types import Candidate


@dataclass(frozen=True, slots=True)
class Rewrite:
    """`sql` is the new SQL; `sentences` tell a person what was changed. `replaced` are the texts
    that stored values replace, in pairs, for a `Reading`."""

    sql: str
    sentences: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()


#: Where a rewrite applies. "every candidate": before candidates are run, to each that passed the
#: check. "instead of the best": to the best reading, whose rank it takes where it finds rows.
#: "beside the best": as a reading of its own after the best, where its rows are new.
Stage = Literal["every candidate", "instead of the best", "beside the best"]


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """`rewrite` gives None where it has nothing to change, or is not sure. After ranking, the
    rule is tried where the best reading has the `warning`."""

    name: str
    stage: Stage
    rewrite: Callable[[Candidate, AnswerContext], Rewrite | None]
    warning: str = ""
