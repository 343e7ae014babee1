"""One place where an answer is judged; `run` and `score` both go through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset
from benchmarks.metrics import errors, exact_match, execution, features, hardness, text
from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema
from t2sql_tui.core.types import Example, Schema


class Scorer:
    """Judges answers to the examples of `dataset`. Not for several threads at once.

    `suites` maps database ids to further databases on which an answer must be right to
    count for test-suite accuracy.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        keep_distinct: bool = False,
        suites: Mapping[str, Sequence[Path]] | None = None,
    ) -> None:
        self._dataset = dataset
        self._keep_distinct = keep_distinct
        self._suites = suites or {}
        self._schemas: dict[str, tuple[Schema, SpiderSchema]] = {}

    def score(self, example: Example, line: Mapping[str, Any]) -> dict[str, Any]:
        """The verdicts on `line`'s "sql" (and "text", "candidates") as plain JSON.

        `correct` and `strict` are of execution, `suite` of the test suite (None without
        one). `exact` and `hardness` are None where Spider's grammar cannot read the gold.

        Raises: DatabaseError if a database does not open.
        """
        gold, predicted = example.gold, line["sql"]
        schema, spider = self._schema(example.database)
        found = self._execute(example, predicted)
        score: dict[str, Any] = {
            "correct": found.correct,
            "strict": found.strict,
            "suite": self._on_suite(example, predicted, found.correct),
            "runs": found.predicted_runs,
            "gold_fails": found.gold_fails,
            "error": found.error,
            "timed_out": found.timed_out,
            "string": text.same_string(gold, predicted),
            "chatty": text.is_chatty(line["text"], predicted),
            "features": dict(features(gold)),
            **_by_spiders_rules(gold, predicted, spider),
        }
        if not found.correct and not found.gold_fails:
            score["kind"] = errors.classify(gold, predicted, found, schema)
        if len(candidates := line.get("candidates", ())) > 1:
            score["any"] = found.correct or any(
                self._execute(example, sql).correct
                for sql in dict.fromkeys(c["sql"] for c in candidates)
                if sql != predicted
            )
        return score

    def _execute(self, example: Example, predicted: str) -> execution.ExecutionVerdict:
        files = self._dataset.files[example.database]
        return execution.verdict(
            example.gold, predicted, files, keep_distinct=self._keep_distinct
        )

    def _on_suite(self, example: Example, predicted: str, correct: bool) -> bool | None:
        files = self._suites.get(example.database)
        if files is None:
            return None
        return correct and execution.verdict(
            example.gold, predicted, files, keep_distinct=self._keep_distinct
        ).correct

    def _schema(self, database: str) -> tuple[Schema, SpiderSchema]:
        if database not in self._schemas:
            from t2sql_tui.core.database import open_database

            with open_database(self._dataset.files[database][0]) as opened:
                schema = opened.schema
            entry = self._dataset.tables.get(database)
            self._schemas[database] = schema, SpiderSchema.from_database(schema, entry)
        return self._schemas[database]


def _by_spiders_rules(gold: str, predicted: str, schema: SpiderSchema) -> dict[str, Any]:
    try:
        level = hardness.hardness(gold, schema)
        match = exact_match.score(gold, predicted, schema)
    except OutsideGrammar:
        return {"hardness": None, "exact": None}
    return {
        "hardness": level,
        "exact": match.exact,
        "in_grammar": match.in_grammar,
        "components": {name: list(part) for name, part in match.components.items()},
    }


def neighbour_databases(dataset: Dataset, count: int) -> dict[str, tuple[Path, ...]]:
    """`count` generated neighbours of each database of `dataset`, built once and kept."""
    from collections import defaultdict

    from benchmarks.metrics import test_suites
    from benchmarks.suites import cache_folder

    golds = defaultdict(list)
    for example in dataset.examples:
        golds[example.database].append(example.gold)
    return {
        database: tuple(
            test_suites.build(
                dataset.files[database][0], golds[database], count=count,
                folder=cache_folder() / "neighbours",
            ).files  # fmt: skip
        )
        for database in dataset.files
        if database in golds
    }
