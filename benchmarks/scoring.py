"""One place where an answer is judged; `run` and `score` both go through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets import DataError, Dataset
from benchmarks.metrics import errors, exact_match, execution, features, hardness, text
from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema
from t2sql_tui.core.types import Example, Schema


@dataclass(frozen=True, slots=True)
class TestSuite:
    """Further databases on which an answer must be right. `files_for` gives those of an
    example; `facts` says what the suite is, for the results."""

    __test__ = False  # not pytest's

    files_for: Callable[[Example], Sequence[Path]]
    facts: Mapping[str, Any]


class Scorer:
    """Judges answers to the examples of `dataset`. Not for several threads at once."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        keep_distinct: bool = False,
        suite: TestSuite | None = None,
        every_candidate: bool = False,
    ) -> None:
        self._dataset = dataset
        self._keep_distinct = keep_distinct
        self._suite = suite
        self._every_candidate = every_candidate
        self._schemas: dict[str, tuple[Schema, SpiderSchema]] = {}

    def scored(self, example: Example, line: Mapping[str, Any]) -> dict[str, Any]:
        """`line` with its score and, where asked for, a "right" at every candidate and reading,
        from which other ways of choosing among them can be measured without asking again."""
        line = {**line, "score": self.score(example, line)}
        right = {line["sql"]: line["score"]["correct"]}
        for part in ("candidates", "readings") if self._every_candidate else ():
            for choice in line.get(part, ()):
                if (sql := choice["sql"]) not in right:
                    right[sql] = self._execute(example, sql).correct
            if part in line:
                line[part] = [{**choice, "right": right[choice["sql"]]} for choice in line[part]]
        return line

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
        if example.source == "bird":
            (first, *_) = self._dataset.files[example.database]
            score["bird"] = execution.bird_verdict(gold, predicted, first).correct
        if not found.correct and not found.gold_fails:
            score["kind"] = errors.classify(gold, predicted, found, schema)
        # A search may find one answer alone; that question counts all the same.
        if candidates := line.get("candidates"):
            score["any"] = found.correct or any(
                self._execute(example, sql).correct
                for sql in dict.fromkeys(c["sql"] for c in candidates)
                if sql != predicted
            )
        return score

    def _execute(self, example: Example, predicted: str) -> execution.ExecutionVerdict:
        files = self._dataset.files[example.database]
        return execution.verdict(example.gold, predicted, files, keep_distinct=self._keep_distinct)

    def _on_suite(self, example: Example, predicted: str, correct: bool) -> bool | None:
        if self._suite is None:
            return None
        files = self._suite.files_for(example)
        if not correct or not files:
            return correct
        return execution.verdict(
            example.gold, predicted, files, keep_distinct=self._keep_distinct
        ).correct

    def _schema(self, database: str) -> tuple[Schema, SpiderSchema]:
        if database not in self._schemas:
            from t2sql_tui.core.database.database import open_database

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


def distilled_suite(dataset: Dataset, folder: Path) -> TestSuite:
    """`folder`/ID/*.sqlite, as the official test suites are laid out.

    Raises: DataError when a database of `dataset` has none.
    """
    files = {name: tuple(sorted((folder / name).glob("*.sqlite"))) for name in dataset.files}
    if missing := [name for name, found in files.items() if not found]:
        raise DataError(
            f"{folder} has no databases for '{missing[0]}'.",
            "It should hold ID/*.sqlite for every database of the suite.",
        )
    facts = {"kind": "distilled", "databases": sum(map(len, files.values()))}
    return TestSuite(lambda example: files[example.database], facts)


def neighbour_suite(
    dataset: Dataset, count: int, on_database: Callable[[str], None] = lambda name: None
) -> TestSuite:
    """`count` generated neighbours of each database, built once and kept in the cache.

    `dataset` is the whole suite, so that a sample of it is judged on the same neighbours.
    `on_database` hears each name before its neighbours are made.
    """
    from benchmarks.metrics import test_suites
    from benchmarks.suites import cache_folder

    golds: dict[str, list[str]] = {}
    for example in dataset.examples:
        golds.setdefault(example.database, []).append(example.gold)
    built = {}
    for name, asked in sorted(golds.items()):
        on_database(name)
        built[name] = test_suites.build(
            dataset.files[name][0], asked, count=count, folder=cache_folder() / "neighbours"
        )
    facts = {
        "kind": "generated",
        "databases": sum(len(suite.files) for suite in built.values()),
        "mutants": sum(suite.mutants for suite in built.values()),
        "killed_by_original": sum(suite.killed_by_original for suite in built.values()),
        "killed": sum(suite.killed for suite in built.values()),
    }
    return TestSuite(lambda e: built[e.database].files_for(e.gold), facts)
