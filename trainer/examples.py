"""From a question and its gold SQL to the examples that are trained on.

The gold is proved by execution, rewritten to one style, transpiled if the dialect is another
one, and rendered with the prompt of the app, once for each variant of the schema.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset
from benchmarks.metrics.execution import ExecutionVerdict, verdict
from benchmarks.metrics.hardness import hardness
from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.prompting.chat import CHAT_FORMATS, find_format
from t2sql_tui.core.prompting.prompt import PROMPTS, build_prompt
from t2sql_tui.core.prompting.value_matching import find_values
from t2sql_tui.core.types import Example, Limits, Prompt, Question, Schema, ValueMatch
from trainer.base import Base, load_tokenizer, token_ids
from trainer.config import Config
from trainer.schema_variants import pruned, shuffled
from trainer.sql_style import STYLES, tables_of, transpile

# No gold query of Spider that matters needs longer.
PROOF = Limits(rows=1_000_000, seconds=10.0)


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One row of an artefact.

    `gold` is the SQL as published, `sql` what is trained on (in the config's dialect), `variant`
    the variant of the schema in the prompt. Token counts are by the base model's tokenizer;
    `sql_tokens` is of SQL and end marker, `tokens` of prefix, suffix, SQL and end marker.
    """

    id: str
    database: str
    file: str
    question: str
    evidence: str
    gold: str
    sql: str
    source: str
    hardness: str
    variant: str
    repeat: int
    tables: int
    columns: int
    prefix: str
    suffix: str
    prefix_tokens: int
    sql_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """An example that was left out, and why."""

    id: str
    database: str
    reason: str
    sql: str = ""


class _RejectedError(Exception):
    """The reason for leaving an example out."""


@dataclass(frozen=True, slots=True)
class _Proved:
    """An example whose gold was run; `target` is its SQL in the dialect that is trained on."""

    example: Example
    file: Path
    schema: Schema
    question: Question
    values: tuple[ValueMatch, ...]
    sql: str
    target: str
    hardness: str


class ExampleMaker:
    """Makes training examples, one database after the other.

    `rejected` lists what was left out. Raises: ModelError for an unknown prompt version or chat
    format.
    """

    def __init__(self, config: Config, base: Base) -> None:
        self.config = config
        self.chat_format = base.chat_format
        if find_format(base.chat_format) is None:
            raise ModelError(
                f"The base model's chat format '{base.chat_format}' is not known.",
                f"Name one with --chat-format: {', '.join(CHAT_FORMATS)}.",
            )
        if config.prompt_version not in PROMPTS:
            raise ModelError(
                f"There is no prompt version '{config.prompt_version}'.",
                f"Known: {', '.join(PROMPTS)}.",
            )
        self.end = base.end_marker
        tokenizer = load_tokenizer(base)
        self.count_tokens = lru_cache(maxsize=4096)(lambda text: len(token_ids(tokenizer, text)))
        self.rejected: list[Rejected] = []
        self._opened: tuple[Path, Database] | None = None

    def most_common_reasons(self) -> str:
        """The three most common reasons for leaving an example out, with their counts."""
        counts = Counter(r.reason.partition(":")[0] for r in self.rejected)
        return "; ".join(f"{n} x {reason}" for reason, n in counts.most_common(3)) or "none read"

    def make(
        self, example: Example, dataset: Dataset, *, measured: bool
    ) -> Iterator[TrainingExample]:
        """One example with the full schema and, unless it is to be `measured`, its variants."""
        try:
            proved = self._proved(example, dataset)
        except _RejectedError as reason:
            self._reject(example, reason)
            return
        repeat = 1 if measured else self._repeat(proved)
        for variant, schema in self._variants(proved, measured):
            try:
                yield self._rendered(proved, schema, variant, repeat)
            except _RejectedError as reason:
                self._reject(example, reason)

    def _reject(self, example: Example, reason: Exception) -> None:
        self.rejected.append(Rejected(example.id, example.database, str(reason), example.gold))

    def _database(self, path: Path) -> Database:
        if self._opened is None or self._opened[0] != path:
            if self._opened is not None:
                self._opened[1].close()
            self._opened = (path, open_database(path))
        return self._opened[1]

    # --- proving --------------------------------------------------------------------

    def _proved(self, example: Example, dataset: Dataset) -> _Proved:
        path = dataset.files[example.database][0]
        database = self._database(path)
        schema = database.schema
        sql, outcome = self._styled(example.gold, schema, path)
        if outcome.gold_fails and not self.config.keep_failing:
            raise _RejectedError(f"the gold does not run: {outcome.error}")
        return _Proved(
            example,
            path,
            schema,
            Question(example.question, self._evidence(example)),
            self._values(database, example),
            sql,
            self._transpiled(sql),
            _hardness(example.gold, schema, dataset.tables.get(example.database)),
        )

    def _styled(self, gold: str, schema: Schema, path: Path) -> tuple[str, ExecutionVerdict]:
        """The gold in the style of the config if that gives exactly the same rows, else as it
        is; and the verdict, which also says whether the gold runs."""
        sql = gold
        if self.config.style in STYLES:
            with suppress(ValueError):  # SQL that sqlglot cannot read stays as it is
                sql = STYLES[self.config.style](gold, schema)
        outcome = verdict(gold, sql, [path], limits=PROOF)
        return (sql if outcome.strict else gold), outcome

    def _transpiled(self, sql: str) -> str:
        dialect = self.config.dialect
        if dialect == "sqlite":
            return sql
        try:
            return transpile(sql, "sqlite", dialect)
        except ValueError as error:
            raise _RejectedError(f"no {dialect}: {error}") from error

    def _evidence(self, example: Example) -> str:
        """The evidence, and the dialect if it is not the one that the prompt names."""
        if self.config.dialect == "sqlite":
            return example.evidence
        return f"Write {self.config.dialect}. {example.evidence}".strip()

    def _values(self, database: Database, example: Example) -> tuple[ValueMatch, ...]:
        if not self.config.values:
            return ()
        text = " ".join(filter(None, (example.question, example.evidence)))
        return tuple(find_values(database, text))

    # --- variants and repeats -------------------------------------------------------

    def _variants(self, proved: _Proved, measured: bool) -> Iterator[tuple[str, Schema]]:
        """Variants of the schema by name. Measured examples show what the app would show: the
        full schema, in its own order."""
        config, schema, example = self.config, proved.schema, proved.example
        if measured or config.schema in ("full", "both"):
            yield "full", schema
        if measured:
            return
        if config.schema in ("pruned", "both"):
            rng = random.Random(f"{config.data_seed}/{example.id}")
            yield "pruned", pruned(schema, proved.sql, config.distractors, rng)
        for number in range(1, config.shuffled_schemas + 1):
            # by database, not by question: packing needs equal prefixes
            rng = random.Random(f"{config.data_seed}/{example.database}/{number}")
            yield f"shuffled-{number}", shuffled(schema, rng)

    def _repeat(self, proved: _Proved) -> int:
        """How often the example is shown in an epoch."""
        config = self.config
        by_level = {"hard": config.repeat_hard, "extra": config.repeat_extra}
        times = by_level.get(proved.hardness, 1)
        if {"UNION", "INTERSECT", "EXCEPT"} & set(proved.sql.upper().split()):
            times = max(times, config.repeat_set_operations)
        return times

    # --- rendering ------------------------------------------------------------------

    def _rendered(
        self, proved: _Proved, schema: Schema, variant: str, repeat: int
    ) -> TrainingExample:
        """The example with the prompt that shows `schema`. Raises: _RejectedError."""
        example = proved.example
        sql_tokens = self.count_tokens(proved.target + self.end)
        prompt = self._prompt(proved, schema, self.config.max_tokens - sql_tokens)
        prefix_tokens = self.count_tokens(prompt.prefix)
        tokens = prefix_tokens + self.count_tokens(prompt.suffix) + sql_tokens
        if tokens > self.config.max_tokens:
            raise _RejectedError(f"does not fit: {tokens} tokens")
        return TrainingExample(
            id=example.id,
            database=example.database,
            file=str(proved.file),
            question=example.question,
            evidence=example.evidence,
            gold=example.gold,
            sql=proved.target,
            source=example.source,
            hardness=proved.hardness,
            variant=variant,
            repeat=repeat,
            tables=len(schema.tables),
            columns=sum(len(t.columns) for t in schema.tables),
            prefix=prompt.prefix,
            suffix=prompt.suffix,
            prefix_tokens=prefix_tokens,
            sql_tokens=sql_tokens,
            tokens=tokens,
        )

    def _prompt(self, proved: _Proved, schema: Schema, budget: int) -> Prompt:
        try:
            prompt = build_prompt(
                schema,
                proved.question,
                [match for match in proved.values if schema.table(match.table)],
                version=self.config.prompt_version,
                chat_format=self.chat_format,
                budget=budget,
                count_tokens=self.count_tokens,
            )
        except ModelError as error:  # the question alone exceeds the budget
            raise _RejectedError(f"too long: {error.message}") from error
        needed = tables_of(proved.example.gold, schema)
        lost = {name.lower() for name in prompt.left_out} & needed
        if lost:
            raise _RejectedError(f"does not fit: without {', '.join(sorted(lost))}")
        return prompt


def _hardness(gold: str, schema: Schema, entry: dict[str, Any] | None) -> str:
    """Spider's level of the gold; "" for SQL outside Spider's grammar."""
    known = SpiderSchema.from_tables_json(entry) if entry else SpiderSchema.from_database(schema)
    try:
        return hardness(gold, known)
    except OutsideGrammar:
        return ""
