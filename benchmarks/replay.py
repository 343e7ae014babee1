"""The candidates of a recorded run once more, without the model.

To see what a change in choosing among them does, in minutes instead of hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import cast

from benchmarks.datasets import DataError
from benchmarks.records import CandidateRecord, Line
from t2sql_tui.core.types import (
    Candidate,
    Constraint,
    Generation,
    GenerationSettings,
    ModelSpec,
    OnText,
    Prompt,
    ShouldStop,
)


class Replay:
    """A backend that gives the candidates in `lines` of an earlier run, with their times. Where
    that run repaired, only the last candidates are known: the earlier ones are empty."""

    def __init__(self, spec: ModelSpec, lines: Iterable[Line]):
        self.spec = spec
        self._lines = {line["prompt_digest"]: line for line in lines}
        # The question that is being answered, and how many repairs are still to come.
        self._current: tuple[Line, int] | None = None

    def count_tokens(self, text: str) -> int:
        """About the number of tokens; a prompt that comes out otherwise is refused."""
        return len(text.encode()) // 3

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        """Nothing: there is no model to prepare."""

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
        """The candidates that the run recorded for `prompt`.

        Raises: DataError for a prompt that the run did not have.
        """
        line, repairs_left = self._current = self._recorded(prompt)
        if repairs_left:
            return Generation(prompt, (Candidate(""),), self.spec.name)
        # The line of a greedy answer is a candidate itself.
        stored = line.get("candidates") or [cast(CandidateRecord, line)]
        return Generation(
            prompt,
            tuple(Candidate(c["sql"], "", c["logprob"], c["tokens"]) for c in stored),
            self.spec.name,
            line["prompt_tokens"],
            line["cached_tokens"],
            line["completion_tokens"],
            line["first_token_seconds"],
            line["generation_seconds"],
            line["finish"],
        )

    def _recorded(self, prompt: Prompt) -> tuple[Line, int]:
        """The line of the question that `prompt` asks, and how many repairs follow. The lines know
        the first prompt of a question alone; what comes after it are its repairs."""
        if line := self._lines.get(prompt_digest(prompt)):
            return line, line["repairs"]
        if self._current is None or self._current[1] == 0:
            raise DataError(
                "The run does not have this prompt: it is of other questions, or the program has "
                "changed since.",
                "Ask the model again, without --replay.",
            )
        line, repairs_left = self._current
        return line, repairs_left - 1

    def close(self) -> None:
        """Nothing: there is no model to free."""


def prompt_digest(prompt: Prompt) -> str:
    """The identifier of a prompt in the lines of a run: 16 hex digits of its SHA-256."""
    text = prompt.prefix + prompt.suffix
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
