"""A run's candidates once more, without the model: to see what a change in choosing among them
does, in minutes instead of hours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.datasets import DataError
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
    that run repaired, only the last candidates are known: the earlier ones are empty.

    `generate` raises DataError for a prompt that the run did not have.
    """

    def __init__(self, spec: ModelSpec, lines: Iterable[Mapping[str, Any]]):
        self.spec = spec
        self._lines = {line["prompt"]: line for line in lines}
        self._under_way: tuple[Mapping[str, Any], int] | None = None  # and what failed before

    def count_tokens(self, text: str) -> int:
        return len(text.encode()) // 3  # nearly; a prompt that comes out otherwise is refused

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        pass

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
        line = self._lines.get(prompt_digest(prompt))
        if line:
            self._under_way = line, line["repairs"]
        elif self._under_way is None or self._under_way[1] == 0:
            raise DataError(
                "The run does not have this prompt: it is of other questions, or the program has "
                "changed since.",
                "Ask the model again, without --replay.",
            )
        else:
            self._under_way = self._under_way[0], self._under_way[1] - 1
        line, failed = self._under_way
        if failed:
            return Generation(prompt, (Candidate(""),), self.spec.name)
        stored = line.get("candidates") or [line]
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

    def close(self) -> None:
        pass


def prompt_digest(prompt: Prompt) -> str:
    """What a run's lines name their first prompt by."""
    text = prompt.prefix + prompt.suffix
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
